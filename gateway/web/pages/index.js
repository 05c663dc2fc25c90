// All pages: the one list that the navigation and the router read. To add a page, give its entry a `load`.
//
//   path   pattern of the address; ":name" is a parameter
//   nav    the section it belongs to (key below); with `menu: true` it is what the section's link opens
//   role   who may see it: any, local, operator, admin, outside, or a scope (lib/session.js `may`)
//   load   () => import of the module; its default export is a View class, registered with define().
//          It gets `.route = {path, params, query}`; changes of params or query set it anew (override `routed()`).
//          Without `load` the page does not exist yet and shows nothing in the navigation.

export const strings = {
  zh: {
    "nav.overview": "总览", "nav.live": "实时预览", "nav.devices": "设备", "nav.recordings": "录像",
    "nav.platforms": "上级平台", "nav.policy": "共享策略", "nav.applications": "共享申请", "nav.watching": "调阅监控",
    "nav.audit": "审计", "nav.users": "用户与密钥", "nav.sources": "外部视频源", "nav.webhooks": "Webhook",
    "group.watch": "视频", "group.share": "共享", "group.manage": "管理", "nav.label": "主导航",
  },
  en: {
    "nav.overview": "Overview", "nav.live": "Live", "nav.devices": "Devices", "nav.recordings": "Recordings",
    "nav.platforms": "Platforms", "nav.policy": "Policy", "nav.applications": "Applications",
    "nav.watching": "Who watches", "nav.audit": "Audit", "nav.users": "Users and keys", "nav.sources": "Sources",
    "nav.webhooks": "Webhooks",
    "group.watch": "Video", "group.share": "Sharing", "group.manage": "Management", "nav.label": "Main navigation",
  },
};

export const groups = ["watch", "share", "manage"];

export const pages = [
  { path: "overview", nav: "overview", group: "watch", icon: "overview", role: "catalog", menu: true,
    load: () => import("./overview.js") },
  { path: "live", nav: "live", group: "watch", icon: "live", role: "live", menu: true,
    load: () => import("./live.js") },
  { path: "devices", nav: "devices", group: "watch", icon: "devices", role: "catalog", menu: true,
    load: () => import("./devices.js") },
  { path: "devices/:device", nav: "devices", role: "catalog", load: () => import("./device.js") },
  { path: "channels/:device/:channel", nav: "devices", role: "catalog", load: () => import("./channel.js") },
  { path: "recordings", nav: "recordings", group: "watch", icon: "recordings", role: "playback", menu: true,
    load: () => import("./recordings.js") },
  { path: "platforms", nav: "platforms", group: "share", icon: "platforms", role: "local", menu: true,
    load: () => import("./platforms.js") },
  { path: "platforms/:platform", nav: "platforms", role: "local", load: () => import("./platform.js") },
  { path: "policy", nav: "policy", group: "share", icon: "policy", role: "local", menu: true,
    load: () => import("./policy.js") },
  { path: "applications", nav: "applications", group: "share", icon: "inbox", role: "grants", menu: true,
    load: () => import("./applications.js") },
  { path: "applications/:grant", nav: "applications", role: "grants", load: () => import("./application.js") },
  { path: "watching", nav: "watching", group: "share", icon: "eye", role: "local", menu: true,
    load: () => import("./watching.js") },
  { path: "audit", nav: "audit", group: "manage", icon: "audit", role: "local", menu: true,
    load: () => import("./audit.js") },
  { path: "users", nav: "users", group: "manage", icon: "users", role: "admin", menu: true,
    load: () => import("./users.js") },
  { path: "sources", nav: "sources", group: "manage", icon: "sources", role: "local", menu: true,
    load: () => import("./sources.js") },
  { path: "webhooks", nav: "webhooks", group: "manage", icon: "webhook", role: "webhooks", menu: true,
    load: () => import("./webhooks.js") },
];
