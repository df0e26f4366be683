/** What is said instead of, or beside, the data: loading, nothing there, something failed. */

import type { ComponentChildren } from "preact";
import { SourceError } from "../data/source";
import { Icon } from "./icons";

export function Loading({ text }: { text: string }) {
  return (
    <p class="nbt-loading" role="status">
      <span class="nbt-spinner" aria-hidden="true" />
      {text}
    </p>
  );
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <div class="nbt-empty">{children}</div>;
}

export function ErrorBox({ error, retry }: { error: unknown; retry?: () => void }) {
  const { message, hint } = tell(error);
  return (
    <div class="nbt-error" role="alert">
      <Icon name="failed" />
      <div>
        <p>{message}</p>
        {hint && <p class="nbt-hint">{hint}</p>}
      </div>
      {retry && (
        <button type="button" class="nbt-button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** A failure in words. Those nbtrack did not foresee get its likeliest cause as a hint. */
export function tell(error: unknown): { message: string; hint: string | null } {
  if (error instanceof SourceError) return { message: error.message, hint: error.hint };
  const message = error instanceof Error ? error.message : String(error);
  return {
    message: `The view failed: ${message}`,
    hint: "This looks like a fault of nbtrack. Run the cell again; if it stays, please report this text.",
  };
}
