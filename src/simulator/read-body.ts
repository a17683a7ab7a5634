import type { IncomingMessage } from "node:http";

const MAX_BODY_BYTES = 12 * 1024 * 1024;

/** The body of a request, empty without waiting where none is announced. Errors when it is above 12 MB. */
export function readBody(request: IncomingMessage): string | Promise<string> {
  const { headers } = request;
  const announced = headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined;
  if (!announced || headers["content-length"] === "0") return "";
  return collect(request);
}

async function collect(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new Error("request body above 12 MB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
