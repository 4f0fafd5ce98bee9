import { useEffect, useState } from 'preact/hooks';
import { currentRoom } from '../state/current-room';
import { LocalMedia } from '../state/local-media';

/** The devices of a preview. They are closed with it, unless a call has taken them over. */
export function usePreviewMedia(): LocalMedia {
  const [local] = useState(() => new LocalMedia());
  useEffect(
    () => () => {
      if (currentRoom.peek()?.local !== local) local.close();
    },
    [local],
  );
  return local;
}
