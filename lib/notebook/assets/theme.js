// Sets the chosen theme before the first paint.
try {
  const theme = localStorage.getItem("pokedex-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // a browser without storage follows the system
}
