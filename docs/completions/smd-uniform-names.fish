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
function __smd_uniform_names_words
    sh -c 'for file in "${SMD_HOME:-$HOME/.smd}"/config.*; do name=${file##*/config.}; case $name in *[!A-Za-z0-9._-]* | -* | .*) ;; *) test -f "$file" && echo "$name" ;; esac; done; { sed -n "s/^ *[Hh]ost[ =]\{1,\}//p" ~/.ssh/config | tr " " "\n"; cut -d " " -f 1 ~/.ssh/known_hosts | tr "," "\n"; } 2> /dev/null | grep -x "[A-Za-z0-9][A-Za-z0-9._-]*" | sort -u | sed "s/$/:/"'
end
complete -c smd-uniform-names -a '(__smd_uniform_names_words)'
