/** Origins of a region's APIs, without a trailing slash. */
export interface Endpoints {
  readonly dms: string;
  readonly iam: string;
}

/** Regions whose hosts do not follow `{service}.{region}.myhuaweicloud.com`, by the providers' endpoint tables. */
const OTHER_DOMAINS: ReadonlyMap<string, string> = new Map([
  ["eu-west-101", "myhuaweicloud.eu"],
  ["eu-de", "otc.t-systems.com"],
  ["eu-nl", "otc.t-systems.com"],
]);

/** The endpoints that a region's name gives. `region` must be checked: it becomes part of a host name. */
export function endpointsOf(region: string): Endpoints {
  const domain = OTHER_DOMAINS.get(region) ?? "myhuaweicloud.com";
  return { dms: `https://dms.${region}.${domain}`, iam: `https://iam.${region}.${domain}` };
}
