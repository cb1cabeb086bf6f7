import { isSupported } from "../src/index.js"; document.title = String(isSupported());
