import type { IncomingMessage, ServerResponse } from "node:http";
import type { Control } from "./control.ts";

/** Answers `/_control/…`. */
export function answerControl(
  _control: Control,
  _request: IncomingMessage,
  _body: string,
  response: ServerResponse,
): void {
  response.writeHead(404).end();
}
