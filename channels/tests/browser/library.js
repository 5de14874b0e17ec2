// A module that the server has the page load.

window.loaded = (window.loaded ?? 0) + 1;
