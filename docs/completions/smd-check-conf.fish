complete -c smd-check-conf -l import -d 'Write ~/.smd/config.NAME by a config of offlineimap or mbsync' -r
complete -c smd-check-conf -s e -l rsh -d 'What to run instead of ssh, with its options' -r
complete -c smd-check-conf -l remote-command -d 'Where smd-server is on the other host' -r
complete -c smd-check-conf -l color -d 'Colours: auto, always or never' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c smd-check-conf -s v -l verbose -d 'Pass on what ssh says'
complete -c smd-check-conf -s q -l quiet -d 'Print what must be changed only'
complete -c smd-check-conf -l json -d 'Print everything as one JSON object'
complete -c smd-check-conf -s V -l version -d 'Print the version'
complete -c smd-check-conf -s h -l help -d 'Print help'
function __smd_check_conf_words
    sh -c 'for file in "${SMD_HOME:-$HOME/.smd}"/config.*; do name=${file##*/config.}; case $name in *[!A-Za-z0-9._-]* | -* | .*) ;; *) test -f "$file" && echo "$name" ;; esac; done; { sed -n "s/^ *[Hh]ost[ =]\{1,\}//p" ~/.ssh/config | tr " " "\n"; cut -d " " -f 1 ~/.ssh/known_hosts | tr "," "\n"; } 2> /dev/null | grep -x "[A-Za-z0-9][A-Za-z0-9._-]*" | sort -u | sed "s/$/:/"'
end
complete -c smd-check-conf -a '(__smd_check_conf_words)'
