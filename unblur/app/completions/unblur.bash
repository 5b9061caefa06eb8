# Completion of unblur for bash. Add to ~/.bashrc: eval "$(unblur --print-completion bash)"
_unblur() {
  local current="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" command=restore words="" names=""
  if [[ $COMP_CWORD -gt 1 ]]; then
    case "${COMP_WORDS[1]}" in
      restore|inspect|video|web|serve|train|evaluate|tables|bench|simulate|validation|datasets|check|patterns|models|convert|export|bundle) command="${COMP_WORDS[1]}" ;;
      help|-h|--help) words="restore inspect video web serve train evaluate tables bench simulate validation datasets check patterns models convert export bundle" ;;
      --print-completion) words="bash fish zsh" ;;
    esac
  else
    words="restore inspect video web serve train evaluate tables bench simulate validation datasets check patterns models convert export bundle help"
  fi
  case "$command" in
    restore) names="-h --help -o --output --mode --strength --shake --restore-sharp -r --recursive --skip-existing --overwrite --suffix --format --quality --compare --jobs --device --tile --checkpoint --runtime --watch --ray --report --json -q --quiet --steps --seed --solver --fidelity --caption --text-encoder --uncertainty --decoder --no-mark" ;;
    inspect) names="-h --help -r --recursive --overlay --solve --json" ;;
    video) names="-h --help --frames --strength --crf --overwrite --device --tile --checkpoint --json -q --quiet" ;;
    web) names="-h --help --host --port --password --open --device --checkpoint --no-browser" ;;
    serve) names="-h --help --host --port --key-file --max-megabytes --max-megapixels --queue --per-client --time-limit --drain-limit --jobs --restore-sharp --device --checkpoint --runtime -q --quiet" ;;
    train) names="-h --help -o --run --photos --pairs --pairs-share --init --init-prior --init-motion --init-nafnet --init-denoiser --latent-encoder --captioner --text-encoder --steps --device --precision -q --quiet" ;;
    evaluate) names="-h --help --checkpoint --protocol --method --split --as --csv --restored --metrics --lpips-weights --multiple --decoder --fidelity --steps --workers --ray --device --pooling-window" ;;
    tables) names="-h --help --format --plots --worst --best --images --pictures --restored --split --published" ;;
    bench) names="-h --help --pairs --seconds --megapixels --peers --seed --json --compare --ray" ;;
    simulate) names="-h --help -o --output --pairs --size --camera --seed --pairs-per-shard --workers --ray -q --quiet" ;;
    validation) names="-h --help -o --output --long --still" ;;
    datasets) names="-h --help" ;;
    check) names="-h --help --as --quick --json" ;;
    patterns) names="-h --help -o --output --json --estimate --checkpoint --device" ;;
    models) names="-h --help -o --output --metrics --private" ;;
    convert) names="-h --help -o --output --network" ;;
    export) names="-h --help -o --output --checkpoint --mode" ;;
    bundle) names="-h --help -o --output --part --scales --eight-bits" ;;
  esac
  case "$command $before" in
    "restore --mode") words="faithful fast generative" ;;
    "restore --shake") words="always auto off" ;;
    "restore --format") words="avif dng jpg jxl png same tif webp" ;;
    "restore --device") words="auto cpu cuda mps xpu" ;;
    "restore --tile") words="auto" ;;
    "restore --runtime") words="auto onnx openvino torch" ;;
    "restore --solver") words="dpm euler" ;;
    "video --frames") words="all blurred" ;;
    "video --device") words="auto cpu cuda mps xpu" ;;
    "video --tile") words="auto" ;;
    "web --device") words="auto cpu cuda mps xpu" ;;
    "serve --device") words="auto cpu cuda mps xpu" ;;
    "serve --runtime") words="auto onnx openvino torch" ;;
    "train train") words="autoencoder decoder faithful glow glow-0.6b glow-1.6b glow-captions glow-joint motion multiscale multiscale-finish plain pre-reconstruction prior smoke unet unet-prior mimo-unet mimo-unet-prior mimo-unet+ mimo-unet+-prior mprnet mprnet-prior nafnet nafnet-prior nafnet-64 nafnet-64-prior restormer restormer-prior" ;;
    "train --device") words="auto cpu cuda" ;;
    "train --precision") words="auto bfloat16 float32" ;;
    "evaluate --device") words="auto cpu cuda" ;;
    "tables --format") words="csv latex markdown" ;;
    "simulate --camera") words="full gopro realblur rsblur" ;;
    "patterns --device") words="auto cpu cuda" ;;
    "models models") words="list pull push verify" ;;
    "convert --network") words="mimo-unet mimo-unet+ mprnet nafnet nafnet-64 restormer" ;;
    "export export") words="onnx openvino dtmodel" ;;
    "export --mode") words="faithful fast" ;;
  esac
  if [[ $current == -* ]]; then
    words="$names"
    [[ $COMP_CWORD -eq 1 ]] && words="$words --version -V --print-completion"
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o bashdefault -o default -F _unblur unblur
