import { type Signal, useSignalEffect } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useId, useRef } from 'preact/hooks';

interface DialogProps {
  open: Signal<boolean>;
  title: string;
  children: ComponentChildren;
}

/** A question above the page. The browser keeps the focus inside; Escape or a click beside closes it. */
export function Dialog({ open, title, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useSignalEffect(() => {
    if (open.value) dialog.current?.showModal();
    else dialog.current?.close();
  });
  return (
    <dialog
      ref={dialog}
      class="dialog"
      aria-labelledby={id}
      onClose={() => (open.value = false)}
      closedby="any"
    >
      <div class="dialog-body">
        <h2 id={id}>{title}</h2>
        {open.value && children}
      </div>
    </dialog>
  );
}
