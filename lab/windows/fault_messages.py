"""The sentences of faults, in the languages a machine may speak.

The wording is the practice world's own: a client must go by numbers, since on real hosts the texts follow the host's
language and change between versions [cap, ja-JP and en-US hosts]. A sentence that a language lacks is given in English.
"""

from __future__ import annotations

_OTHER = 0

_ENGLISH = {
    _OTHER: "WS-Management could not carry out the request. ",
    5: "Access is denied. ",
    87: "The parameter is incorrect. ",
    2147942402: "The system cannot find the file specified. ",
    2150858752: "WS-Management found nothing under this resource URI and these selectors. ",
    2150858753: "WS-Management does not know this action URI. ",
    2150858758: "A pull is already under way on this enumeration. ",
    2150858765: "WS-Management does not support this version of SOAP. ",
    2150858767: "The request has one or more SOAP headers that are not valid. ",
    2150858778: "The filter could not be processed by the data source: it is missing or not valid. ",
    2150858779: "The enumeration context is not valid: the enumeration has ended or was given up. ",
    2150858791: "The request has no valid SOAP body. ",
    2150858793: "The operation did not end within the time given in OperationTimeout. ",
    2150858809: "One or more options of the request are not valid. ",
    2150858811: "The resource URI is missing or has a wrong format. ",
    2150858815: "WS-Management is busy with other requests. Try again later. ",
    2150858818: "WS-Management does not support this feature. ",
    2150858819: "The request is no valid XML. ",
    2150858823: "The largest envelope that the request asks for is too large. ",
    2150858824: "The answer is larger than the largest envelope that the request allows. ",
    2150858825: "The answer is larger than the service's own limit for an envelope. ",
    2150858842: "The request does not give all the selectors that the resource needs. ",
    2150858843: "The request gives selectors that are not valid for the resource. ",
    2150858878: "The largest envelope that the request asks for is too small. ",
    2150858886: "WS-Management does not support this enumeration mode. ",
    2150858887: "WS-Management cannot promise all data in this locale: send the locale with mustUnderstand false. ",
    2150859002: "The resource URI has no keys, and its class is not a singleton. ",
    2150859003: "With a WQL filter the resource URI must have no keys and '*' as its class. ",
    2150859010: "The WMI provider is not able to carry out this operation. ",
    2150859013: "The WMI provider answered 'access denied'. ",
    2150859015: "The filter's XML is not valid. ",
    2150859038: "The WMI provider answered 'invalid parameter'. ",
    2150859173: "This user has opened as many shells at once as are allowed. Close some, or raise the quota. ",
    2150859174: "This user has as many operations under way at once as are allowed. Close some, or raise the quota. ",
    2150859175: "This user's load quota is used up. Send requests more slowly, or raise the quota. ",
    2150859176: "The system's load quota is used up. Send requests more slowly, or raise the quota. ",
    2150859179: "As many users as are allowed are using shells. Try again later, or raise the quota. ",
    2150859240: "This user has more operations under way at once than are allowed. Try again later. ",
    0x80041002: "Not found. ",
    0x80041003: "Access denied. ",
    0x80041008: "One of the parameters is not valid. ",
    0x8004100C: "The feature or operation is not supported. ",
    0x8004100E: "The given namespace does not exist. ",
    0x80041010: "The given class does not exist in this namespace. ",
    0x80041017: "The query is not valid. ",
    0x80041024: "The provider is not capable of this operation. ",
    0x8004102E: "The class has no such method. ",
    0x8004102F: "The method's parameters are not valid. ",
    0x8004106C: "The query has more terms than the quota allows. ",
}

_GERMAN = {
    _OTHER: "WS-Verwaltung konnte die Anforderung nicht ausführen. ",
    5: "Zugriff verweigert ",
    87: "Falscher Parameter. ",
    2147942402: "Das System kann die angegebene Datei nicht finden. ",
    2150858752: "Zu diesem Ressourcen-URI und diesen Selektoren wurde nichts gefunden. ",
    2150858753: "Dieser Aktions-URI ist unbekannt. ",
    2150858767: "Die Anforderung enthält mindestens einen ungültigen SOAP-Header. ",
    2150858778: "Die Datenquelle konnte den Filter nicht verarbeiten: er fehlt oder ist ungültig. ",
    2150858779: "Der Aufzählungskontext ist ungültig: die Aufzählung ist beendet oder abgebrochen. ",
    2150858793: "Der Vorgang wurde nicht innerhalb der mit OperationTimeout angegebenen Zeit beendet. ",
    2150858815: "Der Dienst ist mit anderen Anforderungen beschäftigt. Versuchen Sie es später erneut. ",
    2150858824: "Die Antwort überschreitet die in der Anforderung zugelassene Größe. ",
    2150858842: "Die Anforderung enthält nicht alle erforderlichen Selektoren. ",
    2150858843: "Die Anforderung enthält für die Ressource ungültige Selektoren. ",
    2150859002: "Der Ressourcen-URI enthält keine Schlüssel, und die Klasse ist kein Singleton. ",
    2150859013: "Der WMI-Anbieter meldet, dass der Zugriff verweigert wurde. ",
    2150859173: "Dieser Benutzer hat die zulässige Anzahl gleichzeitiger Shells erreicht. ",
    2150859174: "Dieser Benutzer hat die zulässige Anzahl gleichzeitiger Vorgänge erreicht. ",
    0x80041002: "Nicht gefunden ",
    0x80041003: "Zugriff verweigert ",
    0x8004100E: "Der angegebene Namespace ist nicht vorhanden. ",
    0x80041010: "Die angegebene Klasse ist in diesem Namespace nicht vorhanden. ",
    0x80041017: "Ungültige Abfrage ",
}

_FRENCH = {
    _OTHER: "La Gestion des services Web n’a pas pu exécuter la demande. ",
    5: "Accès refusé. ",
    87: "Paramètre incorrect. ",
    2147942402: "Le fichier spécifié est introuvable. ",
    2150858752: "Aucune ressource ne correspond à cet URI de ressource et à ces sélecteurs. ",
    2150858753: "Cet URI d’action est inconnu. ",
    2150858767: "La demande contient au moins un en-tête SOAP non valide. ",
    2150858778: "La source de données n’a pas pu traiter le filtre : il est absent ou non valide. ",
    2150858779: "Le contexte d’énumération n’est pas valide : l’énumération est terminée ou annulée. ",
    2150858793: "L’opération ne s’est pas terminée dans le délai indiqué par OperationTimeout. ",
    2150858815: "Le service est occupé par d’autres demandes. Réessayez plus tard. ",
    2150858824: "La réponse dépasse la taille admise par la demande. ",
    2150858842: "La demande ne contient pas tous les sélecteurs requis. ",
    2150858843: "La demande contient des sélecteurs non valides pour la ressource. ",
    2150859002: "L’URI de ressource ne contient aucune clé et la classe n’est pas un singleton. ",
    2150859013: "Le fournisseur WMI a répondu que l’accès est refusé. ",
    2150859173: "Cet utilisateur a atteint le nombre autorisé d’environnements simultanés. ",
    2150859174: "Cet utilisateur a atteint le nombre autorisé d’opérations simultanées. ",
    0x80041002: "Introuvable ",
    0x80041003: "Accès refusé ",
    0x8004100E: "L’espace de noms indiqué n’existe pas. ",
    0x80041010: "La classe indiquée n’existe pas dans cet espace de noms. ",
    0x80041017: "Requête non valide ",
}

_LANGUAGES = {"de": _GERMAN, "fr": _FRENCH}


def sentence(code: int, language: str) -> str:
    """The sentence of a WSMan, Win32 or WBEM code in a language such as "de-DE", else in English."""
    spoken = _LANGUAGES.get(language.partition("-")[0].lower(), _ENGLISH)
    if code in spoken:
        return spoken[code]
    return _ENGLISH.get(code) or spoken[_OTHER]
