import { z } from "zod";
import { type Answer, json, type Refusal } from "./answers.ts";
import type { Caller } from "./keys.ts";
import type { Project } from "./project.ts";
import type { QueryPairs } from "./signature.ts";
import type { World } from "./world.ts";

/** `GET /v3/projects?name=`: the projects that the caller may act in. */
export function listProjects(world: World, caller: Caller | null, query: QueryPairs): Answer {
  const name = new Map(query).get("name");
  const projects = [...world.projects.values()]
    .filter((project) => caller === null || caller.projects.has(project.id))
    .filter((project) => name === undefined || project.name === name)
    .map((project) => ({
      id: project.id,
      name: project.name,
      domain_id: "d78cbac186b744899480f25bd022f468",
      parent_id: "d78cbac186b744899480f25bd022f468",
      is_domain: false,
      enabled: true,
      description: "",
    }));
  const links = { self: "https://iam.myhuaweicloud.com/v3/projects", next: null, previous: null };
  return json(200, JSON.stringify({ projects, links }));
}

const login = z.object({
  auth: z.object({
    identity: z.object({
      methods: z.array(z.string()),
      password: z.object({
        user: z.object({ name: z.string(), password: z.string(), domain: z.object({ name: z.string() }) }),
      }),
    }),
    scope: z.object({ project: z.object({ id: z.string().optional(), name: z.string().optional() }) }),
  }),
});

/** `POST /v3/auth/tokens`, password method, scoped to a project by id or name. Ends `lifetime` ms from now. */
export function issueToken(
  world: World,
  body: string,
  token: string,
  now: number,
  lifetime: number,
): Answer | Refusal {
  const parsed = login.safeParse(parseJson(body));
  if (!parsed.success)
    return { status: 400, code: "IAM.0011", message: "Request body is invalid.", shape: "iam" };
  const { user } = parsed.data.auth.identity.password;
  const scope = parsed.data.auth.scope.project;
  const project = [...world.projects.values()].find(
    (candidate) => candidate.id === scope.id || candidate.name === scope.name,
  );
  if (!project || !knows(project, user)) {
    return { status: 401, code: "IAM.0001", message: "The username or password is wrong.", shape: "iam" };
  }
  world.keys.addToken(token, [project.id], now + lifetime);
  const content = {
    token: {
      expires_at: micros(now + lifetime),
      issued_at: micros(now),
      methods: ["password"],
      project: { id: project.id, name: project.name, domain: { name: user.domain.name } },
      user: { name: user.name, domain: { name: user.domain.name } },
    },
  };
  return json(201, JSON.stringify(content), { "X-Subject-Token": token });
}

function knows(
  project: Project,
  user: { name: string; password: string; domain: { name: string } },
): boolean {
  return project.users.some(
    (known) =>
      known.name === user.name && known.password === user.password && known.domain === user.domain.name,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The form of the cloud's own times: microseconds. */
export function micros(time: number): string {
  return new Date(time).toISOString().replace("Z", "000Z");
}
