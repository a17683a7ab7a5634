/** A glob with `*` and `?`, or a list of them of which one must match. Missing: everything matches. */
export type Globs = string | readonly string[] | undefined;

/** Compiles globs to a test of any of the given names. */
export function globTest(globs: Globs): (names: readonly string[]) => boolean {
  if (globs === undefined) return () => true;
  const patterns = (typeof globs === "string" ? [globs] : globs).map(toPattern);
  return (names) => names.some((name) => patterns.some((pattern) => pattern.test(name)));
}

function toPattern(glob: string): RegExp {
  const source = glob.replace(/[\\^$.*+?()[\]{}|]/g, (char) =>
    char === "*" ? ".*" : char === "?" ? "." : `\\${char}`,
  );
  return new RegExp(`^${source}$`, "su");
}
