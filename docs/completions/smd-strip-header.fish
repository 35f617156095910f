complete -c smd-strip-header -s H -l header -d 'Remove this field, several times for several [X-OfflineIMAP, X-TUID]' -r
complete -c smd-strip-header -l color -d 'Colours: auto, always or never' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c smd-strip-header -s d -l dry-run -d 'Count only; change nothing'
complete -c smd-strip-header -s v -l verbose -d 'Name every message'
complete -c smd-strip-header -s q -l quiet -d 'Print errors only'
complete -c smd-strip-header -l json -d 'Print one JSON object'
complete -c smd-strip-header -s V -l version -d 'Print the version'
complete -c smd-strip-header -s h -l help -d 'Print help'
