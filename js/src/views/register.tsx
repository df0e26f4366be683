/** The dialog that makes a run's model a version of a registered model. */

import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { ModelRef, RegisteredModel, RunRow } from "../data/source";
import { Dialog } from "../ui/dialog";
import { oneLine } from "../ui/format";
import { useLoad } from "../ui/hooks";
import { ErrorBox } from "../ui/message";

interface Props {
  run: RunRow;
  register(runId: string, name: string): Promise<ModelRef>;
  models(): Promise<RegisteredModel[]>;
  onClose(): void;
  onDone(version: ModelRef): void;
}

const LONGEST = 250;

/** What is wrong with a model's name, or null. The rules are the registry's own. */
export function nameProblem(name: string): string | null {
  if (name.trim() === "") return "Give the model a name.";
  if (/[/:]/.test(name)) return "A model name cannot hold “/” or “:”.";
  if (name.length > LONGEST) return `A model name has at most ${LONGEST} characters.`;
  return null;
}

export function RegisterDialog({ run, register, models, onClose, onDone }: Props) {
  const [name, setName] = useState("");
  const [tried, setTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const field = useRef<HTMLInputElement>(null);
  const list = useId();
  const problemId = useId();
  const known = useLoad(models, []);
  const problem = nameProblem(name);
  const existing = known.data?.find((model) => model.name === name.trim());
  useLayoutEffect(() => field.current?.focus(), []);

  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    setTried(true);
    if (busy) return;
    if (problem) {
      field.current?.focus();
      return;
    }
    setBusy(true);
    setError(null);
    try {
      onDone(await register(run.run_id, name.trim()));
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  }

  return (
    <Dialog title="Register model" onClose={onClose}>
      <form onSubmit={submit} noValidate>
        <p class="nbt-about">
          {oneLine(run.models[0]?.model_class ?? "The model", 80)} of run{" "}
          <strong title={run.run_name}>
            <bdi>{oneLine(run.run_name, 80)}</bdi>
          </strong>
        </p>
        <label class="nbt-label">
          Model name
          <input
            ref={field}
            data-testid="nbt-register-name"
            list={list}
            autoComplete="off"
            spellcheck={false}
            placeholder="for example iris-classifier"
            value={name}
            aria-invalid={tried && problem !== null}
            aria-describedby={problemId}
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </label>
        <datalist id={list}>
          {known.data?.map((model) => (
            <option key={model.name} value={model.name} />
          ))}
        </datalist>
        <p id={problemId} class={tried && problem ? "nbt-problem" : "nbt-note"} aria-live="polite">
          {tried && problem ? problem : whatHappens(existing)}
        </p>
        {known.error !== null && (
          <p class="nbt-note">The names of existing models could not be listed.</p>
        )}
        {error !== null && <ErrorBox error={error} />}
        <div class="nbt-actions">
          <button type="button" class="nbt-button" onClick={onClose}>
            Cancel
          </button>
          <button
            type="submit"
            class="nbt-button nbt-primary"
            data-testid="nbt-register-ok"
            disabled={busy}
          >
            {busy ? "Registering…" : "Register"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function whatHappens(existing: RegisteredModel | undefined): string {
  if (!existing) return "A new name starts with version 1.";
  const last = Math.max(0, ...existing.versions.map((version) => version.version));
  return `This becomes version ${last + 1} of an existing model.`;
}
