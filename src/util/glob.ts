/**
 * Compiles a glob: `*` is any run of characters, `?` is one, all else is itself, the whole text must fit. Case counts.
 * A failed attempt goes back to the last `*` only, so the time is at most text times pattern, whatever the pattern.
 */
export function compileGlob(pattern: string): (text: string) => boolean {
  if (!/[*?]/.test(pattern)) return (text) => text === pattern;
  const wanted = [...pattern.replace(/\*+/g, "*")];
  if (wanted.length === 1 && wanted[0] === "*") return () => true;
  return (text) => matches(wanted, [...text]);
}

function matches(wanted: readonly string[], text: readonly string[]): boolean {
  let at = 0;
  let next = 0;
  let star = -1;
  let resume = 0;
  while (at < text.length) {
    const token = wanted[next];
    if (token === "*") {
      star = next++;
      resume = at;
    } else if (token !== undefined && (token === "?" || token === text[at])) {
      at++;
      next++;
    } else if (star >= 0) {
      next = star + 1;
      at = ++resume;
    } else {
      return false;
    }
  }
  while (wanted[next] === "*") next++;
  return next === wanted.length;
}
