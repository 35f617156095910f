complete -c smd-sync -l scan -d 'How closely to look: quick, stat or full' -r -f -a "quick\t'Unchanged directories are not listed'
stat\t'Every file\'s stamps are compared'
full\t'Every file is read'"
complete -c smd-sync -s e -l rsh -d 'What to run instead of ssh, with its options' -r
complete -c smd-sync -l remote-command -d 'Where smd-server is on the other host' -r
complete -c smd-sync -l color -d 'Colours: auto, always or never' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c smd-sync -s d -l dry-run -d 'Show what would be done; change nothing'
complete -c smd-sync -s n -l no-delete -d 'Hold back deletions and replacements'
complete -c smd-sync -s v -l verbose -d 'Name every message, and pass on what ssh says'
complete -c smd-sync -s q -l quiet -d 'Print errors and tripped guards only'
complete -c smd-sync -s s -l show-tags -d 'Print the statistics as one machine line'
complete -c smd-sync -l json -d 'Print the report as one JSON object'
complete -c smd-sync -l allow-bulk-delete -d 'The many deletions were meant'
complete -c smd-sync -l adopt -d 'Forget the last sync, merge both, delete nothing'
complete -c smd-sync -l adopt-other-headers -d 'Adopt although most headers differ'
complete -c smd-sync -l status -d 'Show the last runs of ENDPOINT, and end'
complete -c smd-sync -s t -l template-only -d 'Write a config file to edit, and end'
complete -c smd-sync -s V -l version -d 'Print the version'
complete -c smd-sync -s h -l help -d 'Print help'
function __smd_sync_words
    sh -c 'for file in "${SMD_HOME:-$HOME/.smd}"/config.*; do name=${file##*/config.}; case $name in *[!A-Za-z0-9._-]* | -* | .*) ;; *) test -f "$file" && echo "$name" ;; esac; done; { sed -n "s/^ *[Hh]ost[ =]\{1,\}//p" ~/.ssh/config | tr " " "\n"; cut -d " " -f 1 ~/.ssh/known_hosts | tr "," "\n"; } 2> /dev/null | grep -x "[A-Za-z0-9][A-Za-z0-9._-]*" | sort -u | sed "s/$/:/"'
end
complete -c smd-sync -a '(__smd_sync_words)'
