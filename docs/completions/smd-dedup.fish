complete -c smd-dedup -l color -d 'Colours: auto, always or never' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c smd-dedup -l apply -d 'Bury the doubles; without this they are only shown'
complete -c smd-dedup -s v -l verbose -d 'Name every double'
complete -c smd-dedup -s q -l quiet -d 'Print errors only'
complete -c smd-dedup -l json -d 'Print one JSON object'
complete -c smd-dedup -s V -l version -d 'Print the version'
complete -c smd-dedup -s h -l help -d 'Print help'
