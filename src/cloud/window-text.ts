/**
 * Epoch milliseconds as the API's `YYYYMMDDHHmmss`, cut to the second.
 * @param utcOffset milliseconds east of UTC of the zone that the API reads it in
 */
export function windowText(time: number, utcOffset: number): string {
  return new Date(time + utcOffset).toISOString().slice(0, 19).replaceAll(/[-T:]/g, "");
}
