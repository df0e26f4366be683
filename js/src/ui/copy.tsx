/** A line of code and a button that copies it. */

import { useEffect, useRef, useState } from "preact/hooks";
import { Icon } from "./icons";

export function CopyLine({ text }: { text: string }) {
  const code = useRef<HTMLElement>(null);
  const [said, setSaid] = useState("");
  useEffect(() => {
    if (!said) return;
    const timer = setTimeout(() => setSaid(""), 2500);
    return () => clearTimeout(timer);
  }, [said]);

  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(text);
      setSaid("Copied");
    } catch {
      // Pages from files and frames without the permission have no clipboard: then the text is
      // selected, which is one key away from copied.
      if (code.current) getSelection()?.selectAllChildren(code.current);
      setSaid("Press Ctrl+C");
    }
  }

  return (
    <span class="nbt-copy">
      <code ref={code}>{text}</code>
      <button type="button" class="nbt-button nbt-quiet" title={`Copy ${text}`} onClick={copy}>
        <Icon name="copy" />
        <span aria-live="polite">{said || "Copy"}</span>
      </button>
    </span>
  );
}
