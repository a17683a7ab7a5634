/**
 * Milliseconds that a `Retry-After` header asks to wait: whole seconds, or an HTTP date, which is read against
 * the answer's own `Date` where there is one, so that a wrong clock on either side does no harm. Null when
 * absent or unreadable; 0 for a date that has passed.
 * @param now Epoch milliseconds, for a date without `Date`.
 */
export function parseRetryAfter(
  value: string | undefined,
  date: string | undefined,
  now: number,
): number | null {
  const text = value?.trim() ?? "";
  if (/^\d{1,10}$/.test(text)) return Number(text) * 1000;
  const at = httpDate(text);
  if (at === null) return null;
  return Math.max(0, at - (httpDate(date) ?? now));
}

/**
 * Epoch milliseconds of a header such as `Date`; null when absent or unreadable. Only what begins with a weekday:
 * `Date.parse` alone would take "1.5" and "-3" for dates.
 */
export function httpDate(value: string | undefined): number | null {
  const text = value?.trim() ?? "";
  if (!/^[A-Z][a-z]{2,8},? /.test(text)) return null;
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : at;
}
