/**
 * What may be shown of a URL that is itself a secret: scheme, host and port, and a mark where something was cut.
 * User, password, path, query and fragment are gone. Text that is not a URL gives `<secret>` alone.
 */
export function redactUrl(url: string): string {
  const parsed = URL.parse(url);
  if (parsed === null || parsed.host === "") return "<secret>";
  const cut =
    parsed.username || parsed.password || parsed.pathname.length > 1 || parsed.search || parsed.hash;
  return `${parsed.protocol}//${parsed.host}${cut ? "/<secret>" : ""}`;
}
