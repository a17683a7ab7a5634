import { content, glob, secret, text } from "./scalars.ts";
import { object, oneOrMany } from "./shapes.ts";

const globs = () => oneOrMany(glob(), "globs").optional();

export const match = () =>
  object({ project: globs(), instance: globs(), task: globs(), engine: globs(), region: globs() });

export const auth = () =>
  object({
    bearer_token: secret("a token").optional(),
    basic: object({ user: text("a user name"), password: secret("a password") }).optional(),
  });

export const pem = () => content("PEM text");

export const clientTls = () => object({ ca: pem() });
