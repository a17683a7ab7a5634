import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { Webhook } from "standardwebhooks";

interface DemoReceiver extends AsyncDisposable {
  readonly url: string;
}

interface DemoEvent {
  readonly type: string;
  readonly data: {
    readonly task: { readonly name: string } | null;
    readonly instance: { readonly name: string } | null;
    readonly reason: string;
  };
}

/** Takes webhooks on a free port, checks each signature, and says in one line what came. */
export async function startDemoReceiver(secret: string, say: (line: string) => void): Promise<DemoReceiver> {
  const webhook = new Webhook(secret);
  const server = createServer(async (request, response) => {
    try {
      const headers = request.headers as Record<string, string>;
      const { type, data } = webhook.verify(await text(request), headers) as DemoEvent;
      const what = [data.instance?.name, data.task?.name].filter(Boolean).join(" / ");
      say(`  webhook received, signature good: ${type.replace("taskwatch.", "")}  ${what}  (${data.reason})`);
      response.writeHead(204).end();
    } catch (error) {
      say(`  webhook refused: ${error instanceof Error ? error.message : error}`);
      response.writeHead(400).end();
    }
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close().closeAllConnections();
      await closed;
    },
  };
}
