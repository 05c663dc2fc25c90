import { View, define, h } from "../lib/element.js";
import { pageHead, skeleton } from "../lib/ui.js";

export default define("page-overview", class extends View {
  render() {
    return h("div", { class: "page" }, pageHead({ title: "" }), skeleton(6));
  }
});
