const LONGEST_MESSAGE = 300;

/** What gateways are known to echo: the request that was signed, and the credentials in it. */
const ECHOES: readonly (readonly [RegExp, string])[] = [
  // The canonical request runs to the end of the message.
  [/canonical\s*request\b.*/is, "canonicalRequest:<removed>"],
  [/SDK-HMAC-SHA256.*/is, "<removed>"],
  [
    /\b(authorization|x-auth-token|x-security-token|x-subject-token|x-metadata-token)\b["']?\s*[:=|].*/is,
    "$1:<removed>",
  ],
  [
    /\b(ak|sk|access(?:[_-]?key)?(?:[_-]?id)?|secret(?:[_-]?key)?|signature|(?:security)?[_-]?token|password)\b["']?\s*[:=]\s*["']?[^\s,;"'}]+/gi,
    "$1:<removed>",
  ],
  // Tokens and keys as they stand in a sentence: longer than any request id.
  [/[A-Za-z0-9+/=_-]{40,}/g, "<removed>"],
  [/\b[A-Z0-9]{20}\b/g, "<removed>"],
];

/**
 * A message of the cloud, fit to be logged: without credentials, on one line, of bounded length.
 * @param secrets texts to remove wherever they stand
 */
export function redact(message: string, secrets: readonly string[]): string {
  // Cut before the patterns run, so that a hostile megabyte costs nothing.
  let text = message.slice(0, 8 * LONGEST_MESSAGE);
  for (const secret of secrets) if (secret.length >= 4) text = text.replaceAll(secret, "<removed>");
  for (const [pattern, replacement] of ECHOES) text = text.replace(pattern, replacement);
  text = text.replaceAll(/[\p{C}\s]+/gu, " ").trim();
  return text.length > LONGEST_MESSAGE ? `${text.slice(0, LONGEST_MESSAGE)}…` : text;
}
