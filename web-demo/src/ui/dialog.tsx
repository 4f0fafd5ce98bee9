import type { ComponentChildren } from 'preact';
import { useId, useLayoutEffect, useRef } from 'preact/hooks';

interface DialogProps {
  open: boolean;
  onClose: () => void;
  title: string;
  /** As wide as the window. */
  wide?: boolean;
  children: ComponentChildren;
}

/** A question above the page. The browser keeps the focus inside; Escape or a click beside closes it. */
export function Dialog({ open, onClose, title, wide, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  /** Closings by this component whose event is yet to come: browsers tell with the next frame, or much later. */
  const ours = useRef(0);
  useLayoutEffect(() => {
    const element = dialog.current;
    if (open) element?.showModal();
    else if (element?.open) {
      ours.current += 1;
      element.close();
    }
  }, [open]);
  const onEvent = () => {
    if (ours.current > 0) ours.current -= 1;
    else onClose();
  };
  return (
    <dialog
      ref={dialog}
      class={`dialog ${wide ? 'wide' : ''}`}
      aria-labelledby={id}
      onClose={onEvent}
      closedby="any"
    >
      <div class="dialog-body">
        <h2 id={id}>{title}</h2>
        {open && children}
      </div>
    </dialog>
  );
}
