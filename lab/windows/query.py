"""Questions about instances: by class, WQL, selectors or association, answered from a machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lab.windows import cim_xml, schema, wql
from lab.windows.faults import WBEM_INVALID_CLASS, WBEM_INVALID_NAMESPACE, WBEM_INVALID_QUERY
from lab.windows.machine_protocol import (
    Answering,
    Charging,
    HasMissingClasses,
    Instance,
    LacksClasses,
    Machine,
    Reference,
    WmiFailure,
)
from lab.windows.schema import ClassDefinition
from lab.windows.wql_relations import Related, invalid
from lab.windows.wql_values import compile_condition


@dataclass(frozen=True, slots=True)
class Row:
    """One instance with its class; `columns` if only some of its properties were asked for."""

    definition: ClassDefinition
    instance: Instance
    columns: Sequence[str] | None = None

    def xml(self) -> str:
        """The instance, or the fragment of the chosen columns."""
        if self.columns is None:
            return cim_xml.instance_xml(self.definition, self.instance)
        return cim_xml.fragment_xml(self.definition, self.instance, self.columns)

    def endpoint(self) -> str:
        """The endpoint reference of the instance."""
        return cim_xml.endpoint_xml(self.definition, self.instance)


def check_namespace(machine: Machine, namespace: str) -> None:
    """Raise WBEM_E_INVALID_NAMESPACE unless the machine has it."""
    wanted = namespace.lower()
    if wanted not in _namespaces(machine):
        raise WmiFailure(WBEM_INVALID_NAMESPACE, "")


def _namespaces(machine: Machine) -> set[str]:
    """All namespaces in lower case, those above the named ones too."""
    found = {"root"}
    for name in machine.namespaces():
        parts = name.lower().split("/")
        found.update("/".join(parts[:length]) for length in range(1, len(parts) + 1))
    return found


def class_of(machine: Machine, namespace: str, cls: str) -> ClassDefinition:
    """The class's definition.

    Raises:
        WmiFailure: the machine lacks the namespace, or the namespace the class.
    """
    check_namespace(machine, namespace)
    definition = schema.find(namespace, cls)
    if definition is None and cls.lower() == "__namespace":
        definition = schema.find("root/cimv2", cls)
    if definition is None or (isinstance(machine, LacksClasses) and machine.lacks(namespace, definition.name)):
        raise WmiFailure(WBEM_INVALID_CLASS, "")
    return _as_old_as(machine, definition)


def _as_old_as(machine: Machine, definition: ClassDefinition) -> ClassDefinition:
    """The class as this machine has it: an older Windows lacks properties, and naming one is an invalid query there."""
    absent = machine.absent(definition.name) if isinstance(machine, HasMissingClasses) else frozenset()
    return definition.without(absent) if absent else definition


def rows_of(machine: Machine, namespace: str, definition: ClassDefinition) -> Iterator[Row]:
    """All instances of a class and of the classes derived from it."""
    if definition.name == "__NAMESPACE":
        yield from _namespace_rows(machine, namespace.lower(), definition)
        return
    for each in schema.derived(namespace, definition.name):
        own = _as_old_as(machine, each)
        for instance in machine.instances(namespace.lower(), each.name):
            yield Row(own, instance)


def _namespace_rows(machine: Machine, namespace: str, definition: ClassDefinition) -> Iterator[Row]:
    prefix = namespace + "/"
    for name in sorted(_namespaces(machine)):
        if name.startswith(prefix) and "/" not in name[len(prefix) :]:
            cased = schema.NAMESPACES.get(name, name)
            yield Row(definition, {"Name": cased.rpartition("/")[2]})


def wql_rows(machine: Machine, namespace: str, text: str) -> list[Row]:
    """The rows of a WQL query.

    Raises:
        WmiFailure: invalid query, class or namespace, or the quota on terms.
    """
    query = wql.parse(text)
    check_namespace(machine, namespace)
    if isinstance(query, Related):
        return _related_rows(machine, namespace, query)
    if query.cls.lower() == "meta_class":
        raise WmiFailure(WBEM_INVALID_QUERY, "")  # WS-Management carries instances, never class definitions
    definition = class_of(machine, namespace, query.cls)
    columns = None if query.columns is None else _check_columns(definition, query.columns)
    if query.where is not None:
        compile_condition(query.where, definition)  # faults even when there is no instance at all
    found = list(_selected(machine, namespace, definition, query, columns))
    if isinstance(machine, Charging):
        machine.charge(definition.name, columns, len(found), filtered=query.where is not None)
    return found


def _selected(
    machine: Machine,
    namespace: str,
    definition: ClassDefinition,
    query: wql.Select,
    columns: Sequence[str] | None,
) -> Iterator[Row]:
    made = machine.asked(definition.name, _terms(query.where)) if isinstance(machine, Answering) else None
    if made is not None:
        yield from (Row(definition, one, columns) for one in made)
        return
    current: ClassDefinition | None = None
    for row in rows_of(machine, namespace, definition):
        if query.where is not None and row.definition is not current:
            current = row.definition
            test = compile_condition(query.where, current)
        if query.where is None or test(row.instance):
            yield Row(row.definition, row.instance, columns)


def _terms(where: wql.Condition | None) -> dict[str, str]:
    """The `=` terms that a condition has beside each other, by lower-case property."""
    parts = where.parts if isinstance(where, wql.Both) else (where,)
    return {
        one.path[0].lower(): str(one.constant)
        for one in parts
        if isinstance(one, wql.Compare) and one.operator == "=" and len(one.path) == 1
    }


def _check_columns(definition: ClassDefinition, columns: Sequence[str]) -> Sequence[str]:
    for name in columns:
        if name.lower() not in definition.properties and not name.startswith("__"):
            raise invalid(f"{definition.name} has no {name}")
    return columns


def find_instance(machine: Machine, namespace: str, definition: ClassDefinition, keys: Mapping[str, str]) -> Row | None:
    """The instance that these keys name, or None. Names and values in any case.

    A single key under the empty name stands for the only key of the class.
    """
    wanted = {name.lower(): value.lower() for name, value in keys.items()}
    if set(wanted) == {""} and len(definition.keys) == 1:
        wanted = {definition.keys[0].lower(): wanted[""]}
    for row in rows_of(machine, namespace, definition):
        if all(_key_text(row, name) == value for name, value in wanted.items()):
            return row
    return None


def _key_text(row: Row, name: str) -> str | None:
    found = row.definition.properties.get(name)
    value = row.instance.get(found.name) if found else None
    return None if value is None else cim_xml.scalar_text(value).lower()


def selector_rows(
    machine: Machine, namespace: str, definition: ClassDefinition, selectors: Mapping[str, str]
) -> list[Row]:
    """The instances of a class whose properties equal the selectors of a selector filter."""
    wanted = {name.lower(): value.lower() for name, value in selectors.items()}
    rows = rows_of(machine, namespace, definition)
    return [row for row in rows if all(_key_text(row, name) == value for name, value in wanted.items())]


def _related_rows(machine: Machine, namespace: str, query: Related) -> list[Row]:
    definition = class_of(machine, namespace, query.cls)
    start = find_instance(machine, namespace, definition, query.keys)
    if start is None:
        raise invalid("the object path names nothing")
    wanted = query.wanted
    if query.references:
        return association_rows(machine, namespace, start, wanted.get("resultclass", ""), wanted.get("role", ""))
    return associated_rows(machine, namespace, start, wanted)


def association_rows(machine: Machine, namespace: str, start: Row, cls: str, role: str) -> list[Row]:
    """The association instances that refer to an instance (REFERENCES OF, AssociationInstances)."""
    return [row for row, _other in _ties(machine, namespace, start, cls, role)]


def associated_rows(machine: Machine, namespace: str, start: Row, wanted: Mapping[str, str]) -> list[Row]:
    """The instances that associations tie to an instance (ASSOCIATORS OF, AssociatedInstances).

    `wanted` by lower-case keyword: assocclass, resultclass, role, resultrole.
    """
    found: list[Row] = []
    result_role = wanted.get("resultrole", "").lower()
    result_class = wanted.get("resultclass", "")
    ties = _ties(machine, namespace, start, wanted.get("assocclass", ""), wanted.get("role", ""))
    for _association, others in ties:
        for role, reference in others.items():
            if result_role not in ("", role.lower()):
                continue
            row = _follow(machine, reference)
            if row is not None and row not in found and (not result_class or row.definition.is_a(result_class)):
                found.append(row)
    return found


def _ties(
    machine: Machine, namespace: str, start: Row, cls: str, role: str
) -> Iterator[tuple[Row, Mapping[str, Reference]]]:
    """Every association instance that refers to `start`, with its other ends by role."""
    if cls and schema.find(namespace, cls) is None:
        raise WmiFailure(WBEM_INVALID_CLASS, "")
    for definition in schema.associations(namespace):
        if cls and not definition.is_a(cls):
            continue
        for instance in machine.instances(namespace.lower(), definition.name):
            ends = {name: value for name, value in instance.items() if isinstance(value, Reference)}
            mine = [name for name, value in ends.items() if _points_at(value, start)]
            if mine and (not role or role.lower() in {name.lower() for name in mine}):
                yield Row(definition, instance), {name: value for name, value in ends.items() if name != mine[0]}


def _points_at(reference: Reference, row: Row) -> bool:
    if reference.namespace.lower() != row.definition.namespace.lower() or not row.definition.is_a(reference.cls):
        return False
    return all(
        _key_text(row, name.lower()) == cim_xml.scalar_text(value).lower() for name, value in reference.keys.items()
    )


def _follow(machine: Machine, reference: Reference) -> Row | None:
    definition = schema.find(reference.namespace, reference.cls)
    if definition is None:
        return None
    keys = {name: cim_xml.scalar_text(value) for name, value in reference.keys.items()}
    return find_instance(machine, reference.namespace, definition, keys)
