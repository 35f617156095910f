complete -c smd-uniform-names -s e -l rsh -d 'What to run instead of ssh, with its options' -r
complete -c smd-uniform-names -l remote-command -d 'Where smd-server is on the other host' -r
complete -c smd-uniform-names -l color -d 'Colours: auto, always or never' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c smd-uniform-names -l apply -d 'Rename the messages of this host'
complete -c smd-uniform-names -l script -d 'Print a shell script that would rename them'
complete -c smd-uniform-names -s v -l verbose -d 'Name every folder and rename, and pass on what ssh says'
complete -c smd-uniform-names -s q -l quiet -d 'Print errors only'
complete -c smd-uniform-names -l json -d 'Print one JSON object'
complete -c smd-uniform-names -s V -l version -d 'Print the version'
complete -c smd-uniform-names -s h -l help -d 'Print help'
