// What the page does in the browser: photographs are brought by dropping, pasting or choosing, modes are chosen, and
// before and after are compared. Each function gives one gr.HTML component its behaviour; page.py names them in
// `js_on_load`, views.py writes the HTML, page.css the look.
"use strict";

window.unblurPage = (() => {
  const UPLOAD = "gradio_api/upload";
  const KEY_STEP = 0.05; // Share of the photograph by which an arrow key moves the divider, or the part to try.

  // ---- Bringing photographs: `props.value` is the list of uploaded files, as Gradio describes them. ----

  function upload(element, props, trigger, watch) {
    const input = element.querySelector("input[type=file]");
    const problem = element.querySelector(".problem");
    const progress = element.querySelector(".upload-progress");

    let shown = 0; // Number of the photograph that is shown.

    function setFiles(files, index) {
      props.value = files;
      shown = Math.max(0, Math.min(index, files.length - 1));
      showList();
      trigger("bring", { index: shown });
    }

    function choose(index) {
      shown = index;
      showList();
      trigger("choose", { index });
    }

    function showList() {
      const files = props.value || [];
      element.querySelector(".drop").classList.toggle("has-files", files.length > 0);
      element.querySelector(".chosen").replaceChildren(...files.map((file, index) => {
        const entry = document.createElement("li");
        entry.append(
          makeButton(file.orig_name, { "aria-pressed": index === shown, title: file.orig_name }, () => choose(index)),
          makeButton("×", { "aria-label": `Remove ${file.orig_name}` }, () => (
            setFiles(files.filter((_, other) => other !== index), shown > index ? shown - 1 : shown)
          )),
        );
        return entry;
      }));
    }

    function makeButton(text, attributes, onClick) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = text;
      for (const [name, value] of Object.entries(attributes)) button.setAttribute(name, value);
      button.addEventListener("click", onClick);
      return button;
    }

    async function add(chosen) {
      const files = [...chosen];
      if (files.length === 0) return;
      problem.textContent = "";
      try {
        const paths = await send(files, (share) => { progress.textContent = `Uploading: ${Math.round(100 * share)} %`; });
        const added = paths.map((path, index) => (
          { path, orig_name: files[index].name, size: files[index].size, meta: { _type: "gradio.FileData" } }
        ));
        // A photograph that is brought again has the same path.
        const others = (props.value || []).filter((file) => !paths.includes(file.path));
        setFiles([...others, ...added], others.length);
      } catch (error) {
        problem.textContent = error.message;
      } finally {
        progress.textContent = "";
        input.value = ""; // So that the same file can be chosen again.
      }
    }

    input.addEventListener("change", () => add(input.files));
    element.querySelector("[data-action=sample]").addEventListener("click", () => trigger("sample"));
    // The server has brought the sample photograph.
    watch("value", () => setFiles(props.value, 0));

    document.addEventListener("paste", (event) => {
      const files = [...(event.clipboardData?.files || [])];
      if (files.length > 0) {
        event.preventDefault();
        add(files);
      }
    });
    document.addEventListener("dragover", (event) => {
      if (event.dataTransfer?.types.includes("Files")) {
        event.preventDefault();
        document.body.classList.add("dropping");
      }
    });
    document.addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) document.body.classList.remove("dropping");
    });
    document.addEventListener("drop", (event) => {
      document.body.classList.remove("dropping");
      if (event.dataTransfer?.files.length > 0) {
        event.preventDefault();
        add(event.dataTransfer.files);
      }
    });
    showList();
  }

  // Upload files; returns their paths on the server. Throws an Error with a sentence.
  function send(files, onProgress) {
    const form = new FormData();
    for (const file of files) form.append("files", file);
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.upload.addEventListener("progress", (event) => {
        if (event.lengthComputable) onProgress(event.loaded / event.total);
      });
      request.addEventListener("load", () => {
        let answer = null;
        try { answer = JSON.parse(request.responseText); } catch { /* Not every server in between answers in JSON. */ }
        if (request.status === 200 && Array.isArray(answer)) resolve(answer);
        else reject(new Error(describeRefusal(request.status, answer)));
      });
      request.addEventListener("error", () => reject(new Error(
        "The photographs could not be uploaded; is unblur still running?")));
      request.open("POST", UPLOAD);
      request.send(form);
    });
  }

  function describeRefusal(status, answer) {
    if (status === 413) return "This is too much at once; bring fewer or smaller photographs.";
    return typeof answer?.detail === "string" ? answer.detail : `The upload was refused (${status}); try again.`;
  }

  // ---- Mode: `props.value` is its name. ----

  function modes(element, props, trigger) {
    element.addEventListener("change", (event) => {
      props.value = event.target.value;
      trigger("choose");
    });
  }

  // ---- The report: read to people who do not see it, without the seconds that pass. ----

  function report(element) {
    element.setAttribute("aria-live", "polite");
    element.setAttribute("aria-relevant", "additions");
  }

  // ---- The photograph, or the comparison of before and after ----

  function viewer(element, props, trigger, watch) {
    // The server replaces the HTML inside `element`: what the visitor has set lives here.
    const state = { key: null, divider: 0.5, isActual: false, part: { x: 0.5, y: 0.5 }, waits: false };
    let drag = null;

    const find = (selector) => element.querySelector(selector);

    function applyState() {
      const figure = find("figure");
      if (!figure) return;
      if (figure.dataset.key !== state.key) {
        Object.assign(state, { key: figure.dataset.key, divider: 0.5, isActual: false, waits: false });
        if (figure.classList.contains("photo")) state.part = { x: 0.5, y: 0.5 };
        // The button that was pressed may be gone or disabled: the keyboard goes on at what it has brought.
        if (document.activeElement === document.body) find(".comparison .view")?.focus({ preventScroll: true });
      }
      if (figure.classList.contains("photo")) placePart();
      else placeComparison(figure);
    }

    function placePart() {
      const part = find(".part");
      if (!part) return;
      const width = parseFloat(part.style.width) / 100;
      const height = parseFloat(part.style.height) / 100;
      state.part.x = Math.min(Math.max(state.part.x, width / 2), 1 - width / 2);
      state.part.y = Math.min(Math.max(state.part.y, height / 2), 1 - height / 2);
      part.style.left = `${100 * (state.part.x - width / 2)}%`;
      part.style.top = `${100 * (state.part.y - height / 2)}%`;
    }

    function placeComparison(figure) {
      const pictures = find(".pictures");
      figure.classList.toggle("actual", state.isActual);
      // One pixel of the photograph is one of the screen.
      pictures.style.width = state.isActual ? `${figure.dataset.width / window.devicePixelRatio}px` : "";
      for (const [action, isPressed] of [["fit", !state.isActual], ["actual", state.isActual]]) {
        find(`[data-action=${action}]`).setAttribute("aria-pressed", isPressed);
      }
      placeDivider();
    }

    // The part of the pictures that is in view, in the coordinates of the window.
    function findVisible() {
      const pictures = find(".pictures").getBoundingClientRect();
      const view = find(".view").getBoundingClientRect();
      return {
        pictures,
        view,
        left: Math.max(pictures.left, view.left),
        right: Math.min(pictures.right, view.right),
        top: Math.max(pictures.top, view.top),
        bottom: Math.min(pictures.bottom, view.bottom),
      };
    }

    function placeDivider() {
      const range = find(".slide input");
      if (!range) return;
      const { pictures, view, left, right, top, bottom } = findVisible();
      const x = left + state.divider * (right - left);
      find(".after").style.clipPath = `inset(0 0 0 ${x - pictures.left}px)`;
      const divider = find(".divider");
      divider.style.left = `${x - view.left}px`;
      const frame = find(".frame").getBoundingClientRect();
      for (const [label, side, room] of [["before", left - view.left, x - left], ["after", view.right - right, right - x]]) {
        const mark = find(`.label.${label}`);
        mark.style[label === "before" ? "left" : "right"] = `${side + 8}px`;
        mark.style.top = `${top - frame.top + 8}px`;
        mark.style.visibility = room < mark.offsetWidth + 16 ? "hidden" : "visible";
      }
      divider.style.top = `${top - frame.top}px`;
      divider.style.height = `${bottom - top}px`;
      const percent = Math.round(100 * state.divider);
      range.value = percent;
      range.setAttribute("aria-valuetext", `${percent} % before, ${100 - percent} % after`);
    }

    function setDivider(share) {
      state.divider = Math.min(Math.max(share, 0), 1);
      placeDivider();
    }

    function setActual(isActual, share = { x: 0.5, y: 0.5 }) {
      state.isActual = isActual;
      applyState();
      const view = find(".view");
      view.scrollLeft = share.x * view.scrollWidth - view.clientWidth / 2;
      view.scrollTop = share.y * view.scrollHeight - view.clientHeight / 2;
      placeDivider();
    }

    function findShare(event) {
      const { pictures } = findVisible();
      return { x: (event.clientX - pictures.left) / pictures.width, y: (event.clientY - pictures.top) / pictures.height };
    }

    function startDrag(event) {
      if (event.button !== 0) return;
      if (event.target.closest("figure.photo .pictures") && find(".part")) {
        state.part = findShare(event);
        placePart();
        drag = "part";
      } else if (event.target.closest(".comparison .frame")) {
        const view = find(".view");
        const isNear = Math.abs(event.clientX - find(".divider").getBoundingClientRect().left) < 24;
        // A finger scrolls an enlarged photograph by itself.
        if (state.isActual && !isNear && event.pointerType !== "mouse") return;
        drag = state.isActual && !isNear
          ? { x: event.clientX, y: event.clientY, left: view.scrollLeft, top: view.scrollTop }
          : "divider";
        view.focus({ preventScroll: true });
      } else return;
      event.preventDefault();
      moveDrag(event);
    }

    function moveDrag(event) {
      if (drag === null) return;
      if (drag === "part") {
        state.part = findShare(event);
        placePart();
      } else if (drag === "divider") {
        const { left, right } = findVisible();
        setDivider((event.clientX - left) / (right - left));
      } else {
        const view = find(".view");
        view.scrollLeft = drag.left + drag.x - event.clientX;
        view.scrollTop = drag.top + drag.y - event.clientY;
      }
    }

    element.addEventListener("pointerdown", startDrag);
    document.addEventListener("pointermove", moveDrag);
    document.addEventListener("pointerup", () => { drag = null; });
    document.addEventListener("pointercancel", () => { drag = null; });
    element.addEventListener("dragstart", (event) => event.preventDefault());
    element.addEventListener("dblclick", (event) => {
      if (event.target.closest(".comparison .frame")) setActual(!state.isActual, findShare(event));
    });
    element.addEventListener("scroll", placeDivider, true);
    element.addEventListener("load", applyState, true);
    new ResizeObserver(applyState).observe(element);

    element.addEventListener("input", (event) => {
      if (event.target.closest(".slide")) setDivider(event.target.value / 100);
    });

    element.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (step && step[0] !== 0 && !state.isActual && event.target.closest(".comparison .view")) {
        event.preventDefault();
        setDivider(state.divider + step[0] * KEY_STEP);
      } else if (step && event.target.closest(".part")) {
        event.preventDefault();
        state.part.x += step[0] * KEY_STEP;
        state.part.y += step[1] * KEY_STEP;
        placePart();
      } else if (event.key === "Enter" && event.target.closest(".part")) {
        event.preventDefault();
        trigger("part", state.part);
      }
    });

    element.addEventListener("click", (event) => {
      const target = event.target.closest("[data-action], a[download]");
      if (!target) return;
      switch (target.dataset.action) {
        case "fit": setActual(false); break;
        case "actual": setActual(true); break;
        case "part": trigger("part", state.part); break;
        case "back": trigger("back"); break;
        case "zip": trigger("zip"); break;
        default:
          // The file is being written with the new strength: download that one, not the one before.
          if (target.classList.contains("outdated")) {
            event.preventDefault();
            state.waits = true;
            target.textContent = "Preparing…";
          }
      }
    });

    // Strength and fidelity are shown at once; the server writes the file meanwhile.
    document.addEventListener("input", (event) => {
      const value = Number(event.target.value);
      if (!Number.isFinite(value) || !find(".blend")) return;
      if (event.target.closest("#strength")) find(".blend").style.opacity = value;
      else if (event.target.closest("#fidelity") && find(".detail")) find(".detail").style.opacity = 1 - value;
      else return;
      find("a[download]")?.classList.add("outdated");
    });

    watch("value", () => {
      applyState();
      const link = find("a[download]");
      link?.classList.remove("outdated");
      if (link && state.waits) {
        state.waits = false;
        link.textContent = "Download";
        link.click();
      }
      // On a small screen, whoever pressed Restore is further down.
      if (find(".comparison") && element.getBoundingClientRect().top < 0) window.scrollTo({ top: 0 });
    });
    applyState();
  }

  // ---- A link that the server made is followed at once. ----

  function follow(element, watch) {
    watch("value", () => element.querySelector("a")?.click());
  }

  return { upload, modes, report, viewer, follow };
})();
