import { request } from "node:http";
import { request as requestTls } from "node:https";

/**
 * The image's health check: is the event loop of the daemon in this container turning? Reads the port from
 * TASKWATCH_LISTEN as the daemon does; a listen address that only the configuration file names is not seen here,
 * so the image's users set the variable. A container has no curl, and needs none.
 */
const listen = process.env.TASKWATCH_LISTEN ?? "0.0.0.0:10464";
const port = Number(listen.slice(listen.lastIndexOf(":") + 1));
const host = listen.slice(0, listen.lastIndexOf(":")).replace(/^\[|\]$/g, "");
const ask = process.env.TASKWATCH_TLS ? requestTls : request;
const probe = ask(
  {
    host: ["", "0.0.0.0", "::"].includes(host) ? "127.0.0.1" : host,
    port,
    path: "/healthz",
    timeout: 3_000,
    rejectUnauthorized: false,
  },
  (answer) => {
    answer.resume();
    process.exitCode = answer.statusCode === 200 ? 0 : 1;
  },
);
probe.on("timeout", () => probe.destroy(new Error("no answer")));
probe.on("error", () => {
  process.exitCode = 1;
});
probe.end();
