"""Why Kerberos gave no ticket or the host took none, by the number that libkrb5 or a KDC gives: a sentence and an advice. Pure.

The numbers are those of krb5.h: a KDC's and a host's own errors (RFC 4120, 7.5.9) stand from `BASE` on, the library's from
128 further [doc]. What Active Directory means by them is in Microsoft's pages on the events 4768 and 4771 [doc]. GSS-API hands
the same numbers through as minor status; its own are those of MIT's gssapi_err_krb5 [src]. No text is searched for words:
what is listed nowhere is quoted, and nobody is advised anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from bot.errors import AuthenticationFailed, LoginNotChecked
from bot.redaction import clip_line, strip_end

BASE = -1765328384  # ERROR_TABLE_BASE_krb5
_GSS = 39756032  # ERROR_TABLE_BASE_k5g
_LONGEST = 120
_WORD = 2**32


class KerberosReason(NamedTuple):
    """What happened, what to do about it ("" where nothing follows), and whether anybody refused anything at all."""

    says: str
    do: str = ""
    error: type[AuthenticationFailed] = AuthenticationFailed


_CLOCKS = "Compare the clocks of the machine that hvops runs on, of the host and of the KDC."
_WRONG_KEY = "Check password in the settings; a keytab must be of the account's present password."
_USERNAME = "Check username in the settings: the account's name, @, and its realm in capital letters."
_SPN = "See with setspn -Q HTTP/<its name> that the host's own account has this SPN and no other account has it too."
_ENCRYPTION = "Compare permitted_enctypes in krb5.conf with the encryption types that the account and the host may use."
_REALM = (
    "Check the realm of username: the DNS name of the domain in capital letters, not its NetBIOS name. "
    "Then see that krb5.conf or DNS (_kerberos._tcp) names its KDC."
)
_KDC = "See that the domain controllers are up, and that no firewall blocks port 88 (TCP and UDP)."
_TICKET = "Get a ticket (kinit), set KRB5_CLIENT_KTNAME to a keytab, or set a password."
_CACHE = (
    "See that the ticket cache of the bot's account (KRB5CCNAME) belongs to that account, and fetch the ticket again."
)
_CONFIG = "Check krb5.conf (KRB5_CONFIG) of the machine that hvops runs on."
UNPROVEN = KerberosReason("the host did not prove who it is.", _SPN)  # pywinrm says only this
NO_ANSWER_YET = KerberosReason("no KDC of this realm answered in time.", _KDC, LoginNotChecked)
_RENAMED = "the host cannot decrypt the ticket: the SPN leads to another account, or the name to another machine."

# Number after BASE -> reason.
_TABLE: Mapping[int, KerberosReason] = MappingProxyType(
    {
        1: KerberosReason("the account has expired.", "Move its end (Account expires), or set another account."),
        2: KerberosReason("the account of the host has expired.", "Move the end of the host's own account."),
        6: KerberosReason("the KDC knows no account of this name.", _USERNAME),
        7: KerberosReason("the KDC knows no service HTTP/<name of the host>.", _SPN),
        8: KerberosReason("the KDC has several accounts of this name or SPN.", "Look for it with setspn -X."),
        9: KerberosReason("the account has no key.", "Set its password anew."),
        12: KerberosReason(
            "the KDC's policy refuses it: hours, machines or the kind of logon are restricted for the account.",
            "Check logon hours, 'Log On To' and authentication policies of the account.",
        ),
        14: KerberosReason("the KDC has no encryption type in common with this machine.", _ENCRYPTION),
        18: KerberosReason(
            "the account is disabled, locked out or has expired.", "Enable or unlock it before asking again."
        ),
        19: KerberosReason("the account of the host is disabled.", "Enable the host's own account."),
        20: KerberosReason("the ticket was revoked.", _TICKET),
        21: KerberosReason("the account is not valid yet.", _CLOCKS),
        22: KerberosReason("the account of the host is not valid yet.", _CLOCKS),
        23: KerberosReason(
            "the password of the account has expired.", "Set a new one for the account, and in the settings."
        ),
        24: KerberosReason("the KDC calls the password wrong.", _WRONG_KEY),
        27: KerberosReason("the SPN belongs to an account that is no service.", _SPN),
        29: KerberosReason("the KDC lacks a service that it needs.", "Ask again in a minute.", LoginNotChecked),
        31: KerberosReason(
            "what came back does not decrypt: password or key is not the one that was used.", _WRONG_KEY
        ),
        32: KerberosReason("the ticket has expired.", _TICKET),
        33: KerberosReason("the ticket is not valid yet.", _CLOCKS),
        35: KerberosReason("the ticket is for another machine than the one that answers.", _SPN),
        37: KerberosReason("two clocks differ by more than Kerberos allows.", _CLOCKS),
        41: KerberosReason(_RENAMED, f"{_SPN} Check the address in DNS."),
        44: KerberosReason(
            "the host has another version of its key than the KDC.",
            "Wait for the replication between domain controllers, or set the host's own password anew.",
        ),
        45: KerberosReason("the host has no key for this service.", _SPN),
        46: UNPROVEN,
        68: KerberosReason("the KDC that was asked is not one of this realm.", _REALM),
        134: KerberosReason("username is no name that Kerberos knows.", _USERNAME),
        135: KerberosReason("krb5.conf cannot be read.", _CONFIG),
        136: KerberosReason("krb5.conf is not well-formed.", _CONFIG),
        141: KerberosReason("there is no ticket for this login.", _TICKET),
        147: KerberosReason(
            "the KDC answered with another name than it was asked for, as it does where the realm has small letters.",
            _USERNAME,
        ),
        148: KerberosReason("the clock of the KDC differs by more than Kerberos allows.", _CLOCKS),
        150: KerberosReason("this machine knows no encryption type that the KDC asks for.", _ENCRYPTION),
        154: KerberosReason("no KDC is known for this realm.", _REALM, LoginNotChecked),
        156: KerberosReason("no KDC of this realm answers.", _KDC, LoginNotChecked),
        158: UNPROVEN,
        181: KerberosReason("the keytab has no key for this account.", "Check username, and klist -k of the keytab."),
        185: KerberosReason("no ticket leads to the host's realm.", "See that the two domains trust each other."),
        194: KerberosReason("the ticket cache may not be read by the bot's account.", _CACHE),
        195: KerberosReason("there is no ticket cache.", _TICKET),
        199: KerberosReason("the ticket cache is not well-formed.", _CACHE),
        216: KerberosReason(
            "the name of the host cannot be looked up.", "Check the DNS servers of the machine that hvops runs on."
        ),
        217: KerberosReason("it is not known which realm the host is in.", "Name it in krb5.conf, [domain_realm]."),
        220: KerberosReason(
            "the name of the KDC is not known to DNS.", "Check kdc of this realm in krb5.conf.", LoginNotChecked
        ),
        224: KerberosReason(
            "username has no realm, and krb5.conf no default_realm.", "Write the realm after username: name@REALM."
        ),
        236: KerberosReason("the encryption type of the ticket is not allowed on this machine.", _ENCRYPTION),
    }
)

# Of GSS-API's Kerberos itself, which has a table of its own.
_GSS_TABLE: Mapping[int, KerberosReason] = MappingProxyType(
    {
        0: KerberosReason("the ticket cache is of another account than username.", _TICKET),
        1: KerberosReason("the keytab has no key for this account.", "Check username, and klist -k of the keytab."),
        2: KerberosReason("the ticket cache has no ticket to get others with.", _TICKET),
        12: KerberosReason("the ticket cache is empty.", _TICKET),
    }
)

# What is said of the host that a ticket is for, and not of the account or its password: of another host it may be otherwise.
# 37 is not among them: where it has a number it is the KDC's word, as what a host calls wrong with a ticket comes without one.
OF_THE_HOST: frozenset[KerberosReason] = frozenset(
    _TABLE[number] for number in (2, 7, 8, 14, 19, 22, 27, 35, 41, 44, 45, 46, 216, 236)
)

REASONS: Mapping[int, KerberosReason] = MappingProxyType(
    {BASE + number: reason for number, reason in _TABLE.items()}
    | {_GSS + number: reason for number, reason in _GSS_TABLE.items()}
)


def why_no_ticket(number: int | None, words: str) -> KerberosReason:
    """What the number means; else the library's own words, and no advice.

    Args:
        number: libkrb5's error or GSS-API's minor status, as a signed or an unsigned number of 32 bits.
        words: what the library says.
    """
    if number is not None:
        number %= _WORD
        signed = number - _WORD if number >= _WORD // 2 else number
        if signed in REASONS:
            return REASONS[signed]
    quoted = strip_end(clip_line(words, _LONGEST))
    return KerberosReason(f"Kerberos did not succeed ({quoted})." if quoted else "Kerberos did not succeed.")
