complete -c smd-allow -l for -d 'For how long: 30m, 1h, 2d' -r
complete -c smd-allow -l color -d 'Colours: auto, always or never' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c smd-allow -s q -l quiet -d 'Print errors only'
complete -c smd-allow -l json -d 'Print one JSON object'
complete -c smd-allow -s V -l version -d 'Print the version'
complete -c smd-allow -s h -l help -d 'Print help'
