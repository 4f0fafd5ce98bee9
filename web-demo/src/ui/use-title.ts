import { useEffect } from 'preact/hooks';

/** Names the browser's tab after what it shows. */
export function useTitle(title: string | undefined): void {
  useEffect(() => {
    document.title = title ? `${title} · Switchyard` : 'Switchyard';
    return () => {
      document.title = 'Switchyard';
    };
  }, [title]);
}
