// Before anything is painted: the theme that was chosen here, else the system's.
(() => {
  let t = null;
  try { t = localStorage.getItem("larder.theme"); } catch { /* storage is off */ }
  if (t === "dark" || t === "light") document.documentElement.dataset.theme = t;
})();
