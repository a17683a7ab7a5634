/**
 * Writes epoch milliseconds as the API's `YYYYMMDDHHmmss`, cut to the second.
 * @param utcOffset milliseconds east of UTC of the zone that the API reads it in
 */
export function windowTexts(utcOffset: number): (time: number) => string {
  // Polls of one second ask from the same second.
  let last = { second: Number.NaN, text: "" };
  return (time) => {
    const second = Math.floor((time + utcOffset) / 1000);
    if (second !== last.second) {
      const iso = new Date(second * 1000).toISOString();
      last = { second, text: iso.slice(0, 19).replaceAll(/[-T:]/g, "") };
    }
    return last.text;
  };
}
