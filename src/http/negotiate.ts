import type { Format } from "../observe/text-format.ts";

const OPENMETRICS = "application/openmetrics-text";
/** Scrapers that came before 1.0.0 read it as well. */
const VERSIONS: ReadonlySet<string> = new Set(["1.0.0", "0.0.1"]);

/** The format that an Accept header prefers. Whoever does not name OpenMetrics gets the text format. */
export function formatFor(accept: string | undefined): Format {
  let open = 0;
  let text = 0;
  for (const range of (accept ?? "").split(",")) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim());
    const of = (name: string): string | undefined =>
      parameters.find((parameter) => parameter.toLowerCase().startsWith(`${name}=`))?.slice(name.length + 1);
    const q = Number(of("q") ?? "1");
    if (!(q > 0 && q <= 1)) continue;
    const version = of("version");
    if (type.toLowerCase() === OPENMETRICS && (version === undefined || VERSIONS.has(version))) {
      open = Math.max(open, q);
    }
    if (type.toLowerCase() === "text/plain") text = Math.max(text, q);
  }
  return open > 0 && open >= text ? "openmetrics" : "text";
}
