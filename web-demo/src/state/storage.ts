/** Small JSON values kept in the browser. A browser that refuses storage simply forgets. */
export function remember(storage: Storage, key: string, value: unknown): void {
  try {
    storage.setItem(PREFIX + key, JSON.stringify(value));
  } catch {
    // Storage is full or forbidden: nothing here depends on it.
  }
}

export function recall<Value>(storage: Storage, key: string): Value | undefined {
  try {
    const text = storage.getItem(PREFIX + key);
    return text === null ? undefined : (JSON.parse(text) as Value);
  } catch {
    return undefined;
  }
}

export function forget(storage: Storage, key: string): void {
  try {
    storage.removeItem(PREFIX + key);
  } catch {
    // See `remember`.
  }
}

const PREFIX = 'switchyard.';
