import { createPrivateKey, X509Certificate } from "node:crypto";
import { glob, scalar, secret, text } from "./scalars.ts";
import { object, oneOrMany } from "./shapes.ts";

const globs = () => oneOrMany(glob(), "globs").optional();

export const match = () =>
  object({ project: globs(), instance: globs(), task: globs(), engine: globs(), region: globs() });

export const auth = () =>
  object({
    bearer_token: secret("a token").optional(),
    basic: object({ user: text("a user name"), password: secret("a password") }).optional(),
  });

const readable = (read: () => unknown): boolean => {
  try {
    read();
    return true;
  } catch {
    return false;
  }
};

/** One or more; the first one is looked at. */
export const certificate = () =>
  scalar("a certificate in PEM, -----BEGIN CERTIFICATE-----", { type: "string" }, (value) =>
    readable(() => new X509Certificate(value)) ? value : undefined,
  );

/** PEM spans lines, so it is no `secret()`. */
export const privateKey = () =>
  scalar(
    "a private key in PEM without a passphrase, -----BEGIN PRIVATE KEY-----",
    { type: "string" },
    (value) => (readable(() => createPrivateKey(value)) ? value : undefined),
  );

export const clientTls = () => object({ ca: certificate() });
