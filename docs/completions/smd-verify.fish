complete -c smd-verify -s e -l rsh -d 'What to run instead of ssh, with its options' -r
complete -c smd-verify -l remote-command -d 'Where smd-server is on the other host' -r
complete -c smd-verify -l color -d 'Colours: auto, always or never' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c smd-verify -s v -l verbose -d 'Name every difference, and pass on what ssh says'
complete -c smd-verify -s q -l quiet -d 'Print errors only; the exit code says the rest'
complete -c smd-verify -l json -d 'Print the comparison as one JSON object'
complete -c smd-verify -s V -l version -d 'Print the version'
complete -c smd-verify -s h -l help -d 'Print help'
function __smd_verify_words
    sh -c 'for file in "${SMD_HOME:-$HOME/.smd}"/config.*; do name=${file##*/config.}; case $name in *[!A-Za-z0-9._-]* | -* | .*) ;; *) test -f "$file" && echo "$name" ;; esac; done; { sed -n "s/^ *[Hh]ost[ =]\{1,\}//p" ~/.ssh/config | tr " " "\n"; cut -d " " -f 1 ~/.ssh/known_hosts | tr "," "\n"; } 2> /dev/null | grep -x "[A-Za-z0-9][A-Za-z0-9._-]*" | sort -u | sed "s/$/:/"'
end
complete -c smd-verify -a '(__smd_verify_words)'
