const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
  ["ms", 1],
] as const;

const FORM = /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/;

/** `500ms`, `30s`, `5m`, `1h30m`, `7d` in milliseconds: whole numbers, larger units first. Undefined for all else. */
export function parseDuration(text: string): number | undefined {
  const found = FORM.exec(text);
  if (!found || text === "") return undefined;
  let total = 0;
  UNITS.forEach(([, size], index) => {
    total += Number(found[index + 1] ?? 0) * size;
  });
  return Number.isSafeInteger(total) ? total : undefined;
}

/** The shortest text that `parseDuration` reads back: `1h30m`. */
export function formatDuration(milliseconds: number): string {
  let left = milliseconds;
  let text = "";
  for (const [unit, size] of UNITS) {
    const count = Math.floor(left / size);
    if (count > 0) text += `${count}${unit}`;
    left -= count * size;
  }
  return text === "" ? "0s" : text;
}
