// @ts-check
/** Functions that are sent into the page and run there: they see nothing of what is around them here. */

/**
 * What a video element shows right now, small.
 * @param {Element} element
 */
export function paintedPicture(element) {
  const canvas = document.createElement('canvas');
  canvas.width = 32;
  canvas.height = 18;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context?.drawImage(/** @type {HTMLVideoElement} */ (element), 0, 0, canvas.width, canvas.height);
  return context?.getImageData(0, 0, canvas.width, canvas.height).data.join();
}

/** Tells of every alert that is shown, however soon it goes away. */
export function complainOfAlerts() {
  new MutationObserver((changes) => {
    for (const node of changes.flatMap(({ addedNodes }) => [...addedNodes])) {
      if (node instanceof Element && node.matches('[role="alert"]')) {
        console.error(node.textContent);
      }
    }
  }).observe(document, { childList: true, subtree: true });
}

/** Gives the page a drawing when it asks for a screen. */
export function offerDrawing() {
  navigator.mediaDevices.getDisplayMedia = async () => {
    const canvas = document.createElement('canvas');
    canvas.width = 640;
    canvas.height = 360;
    const context = canvas.getContext('2d');
    let step = 0;
    setInterval(() => {
      step += 1;
      if (!context) return;
      context.fillStyle = 'white';
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.fillStyle = 'navy';
      context.fillRect((step * 8) % canvas.width, 120, 120, 120);
    }, 66);
    return canvas.captureStream(15);
  };
}
