export type Environment = Readonly<Record<string, string | undefined>>;

export interface Substitution {
  readonly text: string;
  /** What could not be put in; the text then has nothing in its place. */
  readonly faults: readonly { readonly found: string; readonly allowed: string }[];
}

const ALLOWED = `\${NAME}, \${NAME:-default}, or $$ for a dollar sign`;

/**
 * Puts variables into a text: `${NAME}`, `${NAME:-default}` (also when the variable is empty), `$$` for `$`. Any other
 * dollar sign is itself. A variable's value is taken as it is, it is not searched for variables.
 */
export function substitute(text: string, env: Environment): Substitution {
  const faults: { found: string; allowed: string }[] = [];
  const result = text.replace(/\$\$|\$\{([^}]*)\}|\$\{/g, (written: string, inside: string | undefined) => {
    if (written === "$$") return "$";
    const reference = /^([A-Za-z_]\w*)(?::-(.*))?$/s.exec(inside ?? "");
    const name = reference?.[1];
    const fallback = reference?.[2];
    if (name === undefined || fallback?.includes("${")) {
      faults.push({ found: "a variable that cannot be read", allowed: ALLOWED });
      return "";
    }
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    if (fallback !== undefined) return value === undefined || value === "" ? fallback : value;
    if (value !== undefined) return value;
    faults.push({
      found: `the variable ${name}, which is not set`,
      allowed: `a variable that is set, or a default: \${${name}:-default}`,
    });
    return "";
  });
  return { text: result, faults };
}
