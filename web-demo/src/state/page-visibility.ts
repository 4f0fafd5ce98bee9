import { signal } from '@preact/signals';

/** Whether somebody can see this page: it is in front, or one of its pictures is shown above other windows. */
export const isWatched = signal(true);

function look(): void {
  isWatched.value = !document.hidden || document.pictureInPictureElement != null;
}

for (const event of ['visibilitychange', 'enterpictureinpicture', 'leavepictureinpicture']) {
  document.addEventListener(event, look);
}
look();
