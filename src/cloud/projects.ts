import { UsageError } from "../errors.ts";
import type { Api } from "./api.ts";
import { canonicalQuery } from "./canonical.ts";
import { decodeProjects } from "./decode.ts";
import { target } from "./target.ts";

/**
 * The id of the project that IAM knows under the region's name. Only looked up: a project that is not there is never
 * made. Rejects with a `UsageError` where there is none or more than one, with a `CloudError`, or with the signal's
 * reason.
 */
export async function findProjectId(
  api: Api,
  iamEndpoint: string,
  region: string,
  signal: AbortSignal,
): Promise<string> {
  const query = canonicalQuery([["name", region]]);
  const answer = await api.get("list_projects", target(iamEndpoint, ["v3", "projects"], null), query, signal);
  const projects = decodeProjects(answer.body);
  if (!projects) throw answer.unusable("JSON that is not a list of projects");
  // IAM answers a name that it does not know with all projects in some versions.
  const named = projects.filter(({ name }) => name === region);
  const [only] = named;
  if (only && named.length === 1) return only.id;
  const found =
    named.length === 0
      ? `IAM knows no project named ${region} for these credentials`
      : `IAM knows ${named.length} projects named ${region}: ${named.map(({ id }) => id).join(", ")}`;
  throw new UsageError(`${found}; set project_id`);
}
