// Shows the values under the pointer.
for (const chart of document.querySelectorAll('.chart')) {
  const { left, right, width, seconds, series } = JSON.parse(chart.dataset.series);
  const svg = chart.querySelector('svg');
  const cursor = chart.querySelector('.cursor');
  const output = chart.querySelector('output');
  const show = (visible) => {
    for (const part of [cursor, output]) part.style.visibility = visible ? 'visible' : 'hidden';
  };
  svg.addEventListener('pointerleave', () => show(false));
  svg.addEventListener('pointermove', (event) => {
    const box = svg.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * width;
    const second = Math.round(((at - left) / (right - left)) * seconds);
    const lines = series.flatMap(({ name, points }) => {
      const point = points.find(([x]) => x === second);
      return point && point[1] !== null ? [`${name}  ${Number(point[1].toPrecision(4))}`] : [];
    });
    show(lines.length > 0);
    const x = left + ((right - left) * second) / seconds;
    cursor.setAttribute('x1', x);
    cursor.setAttribute('x2', x);
    output.textContent = [`${second} s`, ...lines].join('\n');
    const pixels = svg.offsetLeft + (x / width) * box.width;
    const isRight = x > (left + right) / 2;
    output.style.left = isRight ? 'auto' : `${(pixels || (x / width) * box.width) + 28}px`;
    output.style.right = isRight ? `${box.width - (x / width) * box.width + 28}px` : 'auto';
  });
}
