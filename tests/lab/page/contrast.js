/* The contrast of every visible text of the page with what is behind it, as WCAG 2.1 computes it. */
() => {
  const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = color;
    pen.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = pen.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  };
  const over = (top, below) => [0, 1, 2].map((at) => top[at] * top[3] + below[at] * (1 - top[3])).concat(1);
  const linear = (part) => (part / 255 <= 0.03928 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([red, green, blue]) => 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  const behind = (node) => {
    const layers = [];
    for (let one = node; one; one = one.parentElement) layers.push(rgba(getComputedStyle(one).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), rgba(getComputedStyle(document.body).backgroundColor));
  };
  const opacity = (node) => (node ? Number(getComputedStyle(node).opacity) * opacity(node.parentElement) : 1);
  const judged = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    const text = texts.currentNode.textContent.trim();
    const inert = node.closest("script, noscript, style, option, :disabled, .skip, [aria-hidden=true]");
    if (!text || inert || !node.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    const ground = behind(node);
    const ink = rgba(getComputedStyle(node).color);
    const shown = over([ink[0], ink[1], ink[2], ink[3] * opacity(node)], ground);
    const [dark, bright] = [light(shown), light(ground)].sort((a, b) => a - b);
    judged.push({ text: text.slice(0, 60), where: `${node.tagName}.${node.className}`, ratio: (bright + 0.05) / (dark + 0.05) });
  }
  return judged;
}
