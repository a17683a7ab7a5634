/** Longest text kept of a task's parameters, in UTF-16 units; the cloud sets no limit. */
export const PARAMS_CAP = 4096;

const MASK = "***";

/** Words that make a key look like a secret, compared without case and without separators. */
const SECRET_WORDS =
  /pass$|^pass|passw|passphrase|passcode|pwd|secret|token|credential|signature|authorization|cookie|sessionid|(api|access|auth|encryption|encrypt|private|kms|ssl|tls|shared|master|account|storage)key|^(ak|sk)$/;

/** `key=value` and `"key": value` in text that is not JSON, or that was cut. Quotes may be escaped, as in JSON inside JSON. */
const PAIR =
  /([A-Za-z0-9_.-]{1,64})(\\{0,8}["']?\s{0,4}[:=]\s{0,4})(\\{0,8}"(?:[^"\\]|\\.)*\\{0,8}"?|\\{0,8}'[^']*'?|(?:Bearer |Basic )?[^\s,;&"'{}]+)/gi;

const looksSecret = (key: string): boolean => SECRET_WORDS.test(key.toLowerCase().replace(/[^a-z0-9]/g, ""));

/**
 * The parameters as they may be kept and shown: values of keys that look like secrets masked at any depth, JSON
 * inside JSON strings too, and cut to `PARAMS_CAP`. Null for none. Text that is not JSON is searched for
 * `key=value` and `key: value`.
 */
export function maskParams(params: string | null): string | null {
  if (params === null || params === "") return null;
  // A text many times the cap is never worth parsing; what is kept of it is masked as plain text.
  const text = params.length > 16 * PARAMS_CAP ? params.slice(0, 16 * PARAMS_CAP) : params;
  const masked = maskText(text, 0);
  return masked.length > PARAMS_CAP ? `${masked.slice(0, PARAMS_CAP - 1).toWellFormed()}…` : masked;
}

function maskText(text: string, depth: number): string {
  const first = text.trimStart()[0];
  if (depth < 8 && (first === "{" || first === "[")) {
    try {
      return JSON.stringify(maskValue(JSON.parse(text), depth));
    } catch {
      // Not JSON after all.
    }
  }
  // Searching is slow where nothing is found, and what is behind the cap is not kept.
  return text
    .slice(0, 2 * PARAMS_CAP)
    .replace(PAIR, (all, key: string, sign: string) => (looksSecret(key) ? `${key}${sign}${MASK}` : all));
}

function maskValue(value: unknown, depth: number): unknown {
  if (typeof value === "string") return maskText(value, depth + 1);
  if (typeof value !== "object" || value === null) return value;
  if (depth >= 32) return MASK;
  if (Array.isArray(value)) return value.map((item) => maskValue(item, depth + 1));
  const fields = Object.entries(value);
  // {"name": "password", "value": "…"}: the secret's name is itself a value.
  const named = fields.some(
    ([key, item]) => /^(name|key)$/i.test(key) && typeof item === "string" && looksSecret(item),
  );
  return Object.fromEntries(
    fields.map(([key, item]) => [
      key,
      (looksSecret(key) && item !== null) || (named && /value$/i.test(key))
        ? MASK
        : maskValue(item, depth + 1),
    ]),
  );
}
