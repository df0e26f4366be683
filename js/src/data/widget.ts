/**
 * A source that asks the kernel, by custom messages with request ids.
 *
 * Messages and not traits: with some kernels, trait changes made in the page stop
 * arriving while a cell is busy; custom messages keep arriving.
 */

import type { DataSource } from "./source";
import { SourceError } from "./source";

/** The part of anywidget's model that is used here. */
export interface MessageModel {
  send(content: unknown): void;
  on(event: "msg:custom", callback: (message: unknown, buffers: DataView[]) => void): void;
  off(event: "msg:custom", callback: (message: unknown, buffers: DataView[]) => void): void;
}

interface Reply {
  id: string;
  ok: boolean;
  result?: unknown;
  error?: { message: string; hint: string | null };
}

interface Answer {
  result: unknown;
  buffers: DataView[];
}

interface Waiting {
  resolve(answer: Answer): void;
  reject(error: SourceError): void;
  timer: ReturnType<typeof setTimeout>;
}

export interface WidgetSource extends DataSource {
  /** Tells the kernel which runs are selected; settles when it has taken note. */
  tellSelection(runIds: string[]): Promise<void>;
  dispose(): void;
}

export interface WidgetOptions {
  timeoutMs?: number;
  /** Turns the bytes of an ES module into the module. */
  importModule?: (code: Blob) => Promise<unknown>;
}

/** One Plotly per page, whatever the number of widgets; the key changes with what is in it. */
const PLOTLY_KEY = Symbol.for("nbtrack.plotly.4.1.1-1");

export function widgetSource(model: MessageModel, options: WidgetOptions = {}): WidgetSource {
  const { timeoutMs = 60_000, importModule = importBlob } = options;
  // Ids are unique in the page, since all views of one model hear every reply.
  const prefix = Math.random().toString(36).slice(2, 10);
  const waiting = new Map<string, Waiting>();
  const listeners = new Set<() => void>();
  let count = 0;

  function onMessage(message: unknown, buffers: DataView[]): void {
    if (isChanged(message)) {
      for (const listener of listeners) listener();
      return;
    }
    if (!isReply(message)) return;
    const request = waiting.get(message.id);
    if (!request) return;
    waiting.delete(message.id);
    clearTimeout(request.timer);
    if (message.ok) {
      request.resolve({ result: message.result, buffers });
    } else {
      const { message: text, hint } = message.error ?? {
        message: "The kernel could not answer, and did not say why.",
        hint: null,
      };
      request.reject(new SourceError(text, hint));
    }
  }

  function ask(op: string, params: object): Promise<Answer> {
    count += 1;
    const id = `${prefix}-${count}`;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        waiting.delete(id);
        reject(
          new SourceError(
            `The kernel is busy or gone: no answer within ${Math.round(timeoutMs / 1000)} seconds.`,
            "Wait for the running cell to end, or run this cell again after a restart.",
          ),
        );
      }, timeoutMs);
      waiting.set(id, { resolve, reject, timer });
      model.send({ id, op, params });
    });
  }

  // The kernel's Python half and this file are released together, so its JSON is taken as typed.
  const result = async <T>(op: string, params: object = {}): Promise<T> =>
    (await ask(op, params)).result as T;

  model.on("msg:custom", onMessage);
  return {
    runs: () => result("runs.search"),
    history: (runIds, key) => result("metrics.history", { run_ids: runIds, key }),
    details: (runId) => result("runs.details", { run_id: runId }),
    plots: (runId) => result("runs.plots", { run_id: runId }),
    models: () => result("models.search"),
    register: (runId, name) => result("models.register", { run_id: runId, name }),
    plotly: () =>
      oncePerPage(async () => {
        const { result: about, buffers } = await ask("bundle", { name: "plotly" });
        return importModule(await unpack(about, buffers));
      }),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async tellSelection(runIds) {
      await ask("state", { selected: runIds });
    },
    dispose() {
      model.off("msg:custom", onMessage);
      listeners.clear();
      for (const { timer, reject } of waiting.values()) {
        clearTimeout(timer);
        reject(new SourceError("This view was closed."));
      }
      waiting.clear();
    },
  };
}

function oncePerPage(load: () => Promise<unknown>): Promise<unknown> {
  const page = globalThis as typeof globalThis & { [PLOTLY_KEY]?: Promise<unknown> };
  const known = page[PLOTLY_KEY];
  // The view that asked first may have been closed meanwhile: then this one asks.
  if (known) return known.catch(() => oncePerPage(load));
  const loading = load();
  page[PLOTLY_KEY] = loading;
  // A failure must not stay for the life of the page: the next chart asks again.
  loading.catch(() => delete page[PLOTLY_KEY]);
  return loading;
}

async function unpack(about: unknown, buffers: DataView[]): Promise<Blob> {
  const buffer = buffers[0];
  const encoding = (about as { encoding?: string } | null)?.encoding;
  if (!buffer || encoding !== "gzip") {
    throw new SourceError("The kernel sent no chart library that this page can read.");
  }
  const bytes = new Uint8Array(buffer.buffer as ArrayBuffer, buffer.byteOffset, buffer.byteLength);
  const code = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Blob([await new Response(code).arrayBuffer()], { type: "text/javascript" });
}

async function importBlob(code: Blob): Promise<unknown> {
  const url = URL.createObjectURL(code);
  try {
    const module = (await import(/* @vite-ignore */ url)) as { default: unknown };
    return module.default;
  } finally {
    URL.revokeObjectURL(url);
  }
}

function isChanged(message: unknown): boolean {
  return (message as { event?: unknown } | null)?.event === "changed";
}

function isReply(message: unknown): message is Reply {
  const reply = message as Partial<Reply> | null;
  return typeof reply?.id === "string" && typeof reply.ok === "boolean";
}
