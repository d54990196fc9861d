/* Draw the members of an audience with uPlot over the picture that the server drew. Colours come from style.css. */
(function () {
  "use strict";
  if (!window.uPlot) return;
  var probe = document.createElement("i");
  probe.hidden = true;
  document.body.append(probe);
  function token(name) { // a token as the canvas can use it: light-dark() resolved
    probe.style.color = "var(--" + name + ")";
    return getComputedStyle(probe).color;
  }
  var narrow = matchMedia("(max-width: 40rem)");
  var zone = document.documentElement.dataset.zone || "UTC";
  var say = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: zone });
  var count = new Intl.NumberFormat("en");

  document.querySelectorAll("figure[data-chart]").forEach(function (figure) {
    var data = JSON.parse(document.getElementById(figure.dataset.chart).textContent);
    var box = figure.querySelector(".plot-here");
    var read = figure.querySelector("#read");
    var plain = read.innerHTML;
    var fit = document.querySelector(".fit"), axes = fit.querySelectorAll("button"); // an area starts at 0; fitted is a line
    var plots = [], fitted = axes[1].getAttribute("aria-pressed") === "true";
    fit.hidden = false;
    fit.addEventListener("click", function (event) {
      if (!event.target.matches("button")) return;
      event.preventDefault(); // without a script the form asks the server for the other picture
      fitted = event.target === axes[1];
      axes.forEach(function (each, index) { each.setAttribute("aria-pressed", fitted === (index === 1)); });
      build();
    });

    function axis(size, more) {
      return Object.assign({
        stroke: token("muted"), font: "11px Plex, system-ui, sans-serif", size: size,
        grid: { stroke: token("line"), width: 1 }, ticks: { show: false }
      }, more);
    }
    function show(u) {
      var i = u.cursor.idx;
      if (i == null) { read.innerHTML = plain; return; }
      read.textContent = "";
      var b = document.createElement("b");
      b.textContent = say.format(new Date(data.t[i] * 1000));
      read.append(b, " · run " + data.run[i] + " · " + count.format(data.members[i]) + " members · +" + data.entered[i] + " entered · −" + Math.abs(data.left[i]) + " left");
    }
    function events(u) { // dashed lines with the glyph of the event at the top
      var ctx = u.ctx, dpr = devicePixelRatio;
      data.events.forEach(function (e) {
        var x = Math.round(u.valToPos(e.t, "x", true)) + 0.5;
        ctx.save();
        ctx.strokeStyle = token(e.cls === "bad" ? "m-bad" : e.cls === "act" ? "m-act" : "edge");
        ctx.lineWidth = dpr; ctx.setLineDash([3 * dpr, 3 * dpr]);
        ctx.beginPath(); ctx.moveTo(x, u.bbox.top); ctx.lineTo(x, u.bbox.top + u.bbox.height); ctx.stroke();
        ctx.restore();
      });
    }
    function letters(u) { // HTML, so that they scale, print and keep the theme
      u.over.querySelectorAll(".ev").forEach(function (old) { old.remove(); });
      var free = -Infinity; // a glyph that would cover the one before it moves to the right
      data.events.forEach(function (e) {
        var mark = document.createElement("span");
        mark.className = "ev glyph " + e.cls;
        mark.innerHTML = '<svg width="14" height="14" viewBox="0 0 16 16" aria-hidden="true"><use href="#i-' + e.icon + '"/></svg>';
        mark.style.position = "absolute";
        var at = Math.max(u.valToPos(e.t, "x") - 7, free);
        free = at + 16;
        mark.style.left = at + "px";
        mark.style.top = "-17px";
        u.over.append(mark);
      });
    }
    var dates = [ // the label of a tick by the distance of two; a new day or year replaces it
      [31536000, "{YYYY}", null, null, null, null, null, null, 1],
      [2419200, "{MMM}", "{YYYY}", null, null, null, null, null, 0],
      [86400, "{D} {MMM}", null, null, null, null, null, null, 1],
      [60, "{HH}:{mm}", null, null, "{D} {MMM}", null, null, null, 0],
      [1, "{HH}:{mm}:{ss}", null, null, "{D} {MMM}", null, null, null, 0]
    ];
    var moved = data.entered.concat(data.left).some(Boolean); // a flat audience has no bars
    var whole = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7];
    function build() {
      plots.forEach(function (p) { p.destroy(); });
      var width = box.clientWidth, gutter = narrow.matches ? 40 : 52;
      var cursor = { sync: { key: figure.dataset.chart }, y: false, points: { show: false }, drag: { x: true, y: false } };
      var x = { time: true, range: function (u, lo, hi) { var d = (hi - lo) * 0.01; return [lo - d, hi + d]; } };
      var tz = function (ts) { return uPlot.tzDate(new Date(ts * 1e3), zone); };
      plots = [
        new uPlot({
          width: width, height: narrow.matches ? 190 : 250, tzDate: tz, cursor: cursor, legend: { show: false }, padding: [18, 8, 0, 0],
          scales: { x: x, y: { range: function (u, lo, hi) { return fitted ? uPlot.rangeNum(lo, hi, 0.1, true) : [0, hi * 1.06]; } } },
          series: [{}, { stroke: token("m-in"), width: 1.75, fill: fitted ? null : token("area"), paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } }],
          axes: [axis(26, { grid: { show: false }, values: dates, space: 70 }), axis(gutter, { incrs: whole, values: function (u, v) { return v.map(function (n) { return count.format(n); }); } })],
          hooks: { setCursor: [show], draw: [events], drawAxes: [letters] }
        }, [data.t, data.members], box),
        moved && new uPlot({
          width: width, height: 120, tzDate: tz, cursor: cursor, legend: { show: false }, padding: [6, 8, 4, 0],
          scales: { x: x, y: { range: function (u, lo, hi) { return [Math.min(lo * 1.1, -1), Math.max(hi * 1.1, 1)]; } } },
          series: [{},
            { fill: token("m-in"), stroke: token("m-in"), width: 0, paths: uPlot.paths.bars({ size: [0.6, 12, 6] }), points: { show: false } },
            { fill: token("m-out"), stroke: token("m-out"), width: 0, paths: uPlot.paths.bars({ size: [0.6, 12, 6] }), points: { show: false } }],
          axes: [axis(4, { grid: { show: false }, values: function () { return []; } }), axis(gutter, { space: 22, incrs: whole, values: function (u, v) { return v.map(function (n) { return n < 0 ? "−" + count.format(-n) : n > 0 ? "+" + count.format(n) : "0"; }); } })],
          hooks: { setCursor: [show], draw: [events] }
        }, [data.t, data.entered, data.left], box)
      ].filter(Boolean);
    }
    figure.querySelectorAll(".area").forEach(function (plain) { plain.remove(); });
    build();
    var last = box.clientWidth;
    new ResizeObserver(function () { if (box.clientWidth !== last) { last = box.clientWidth; build(); } }).observe(box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", build);
    if (document.fonts) document.fonts.ready.then(build);
  });
})();
